-- Signs of life: when a process last gave one, in microseconds of its boot's own clock. Who cannot look at a process, in
-- another container say, knows by it whether that one lives. One that gave none is given a day.
create table owner (
  name text primary key,
  boot text not null,
  beat integer not null
) strict, without rowid;
