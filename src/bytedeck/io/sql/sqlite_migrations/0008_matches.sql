-- Matches of the arena: `said`, `standing` and `body` are JSON; the columns beside them repeat what is asked by. Times are
-- microseconds since 1970.

-- `holder`: the process that writes it (`io/owner.py`), '' for none; `held_at`: since when. `due`: how much has come that the
-- results of a match do not tell yet: its end, and votes since; 0: nothing.
create table arena_match (
  number integer primary key,
  id text not null unique,
  owner text not null,
  said text not null,
  standing text not null,
  holder text not null,
  held_at integer not null,
  due integer not null default 0
) strict;

create index arena_match_owner on arena_match (owner, number);
create index arena_match_due on arena_match (number) where due > 0;

create table arena_event (
  match integer not null,
  seq integer not null,
  at integer not null,
  body text not null,
  primary key (match, seq)
) strict, without rowid;

-- `round` is -1 for a vote on the whole match: null would be equal to nothing, and so never replaced.
create table arena_vote (
  number integer primary key,
  match integer not null,
  source text not null,
  voter text not null,
  round integer not null,
  said text not null,
  unique (match, source, voter, round)
) strict;

create table arena_result (
  number integer primary key,
  match integer not null,
  source text not null,
  task text not null,
  first text not null,
  second text not null,
  score real not null,
  at integer not null,
  said text not null
) strict;

create index arena_result_match on arena_result (match, source);
create index arena_result_task on arena_result (task, at);

create table arena_opinion (
  number integer primary key,
  match integer not null,
  source text not null,
  task text not null,
  judge text not null,
  at integer not null,
  said text not null
) strict;

create index arena_opinion_match on arena_opinion (match, source);

-- Of the order of a task's models. It stays when a match is forgotten.
create table arena_change (
  number integer primary key,
  task text not null,
  undoes integer unique,
  at integer not null,
  said text not null
) strict;

-- Moves with every result and change. It begins anywhere, so that another file has another one.
create table arena_version (
  id integer primary key check (id = 1),
  version integer not null
) strict;

insert into arena_version (id, version) values (1, 1 + (random() & 0xffffffffffff));

create trigger arena_result_comes after insert on arena_result
begin
  update arena_version set version = version + 1;
end;

create trigger arena_result_goes after delete on arena_result
begin
  update arena_version set version = version + 1;
end;

create trigger arena_change_comes after insert on arena_change
begin
  update arena_version set version = version + 1;
end;
