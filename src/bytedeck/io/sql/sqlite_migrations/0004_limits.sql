-- Buckets of rate limits: the theoretical arrival time, all the time ever given back, and the moment when it was written,
-- in microseconds by the buckets' own clock.
create table bucket (
  name text primary key,
  tat integer not null,
  back integer not null,
  at integer not null
) strict, without rowid;

-- What buckets count time by: how far the calendar's clock was ahead of the machine's own when it was first looked at in
-- this run of the machine; or where that clock was when it was last written, so that it never goes back. From then on nobody who sets the calendar's
-- clock moves it.
create table clock (
  id integer primary key check (id = 1),
  boot text not null,
  ahead integer not null
) strict;

-- The tokens that a running attempt took, as JSON.
create table held (
  intent integer primary key,
  holds text not null
) strict;

-- Accounts of budgets: whose (a key, a task or, with '', all), and which period. An account is made when a budget first
-- asks for it, from the rows that there are; from then on the triggers below keep it, whoever writes. So it is always the
-- sum of the rows it covers: of settled attempts what they cost, or their worst case while that is not known, and of the
-- others the worst case as held. A sum that left 64 bits would fail the row: it becomes null before, and is then summed up
-- whenever it is asked for. One update for each scope goes by the primary key, in a third of the time that one for all of them
-- takes.
create table account (
  scope text not null,
  whose text not null,
  period text not null,
  since integer not null,
  until integer not null,
  spent integer,
  held integer,
  primary key (scope, whose, since, until)
) strict, without rowid;

-- What an attempt changes, in units: to insert here moves the accounts that cover it.
create view movement as
select '' as key, '' as task, 0 as at, 0 as spent, 0 as held;

create trigger movement_moves instead of insert on movement
begin
  update account set
    spent = iif(abs(spent + 0.0 + new.spent) < 8e18, spent + new.spent, null),
    held = iif(abs(held + 0.0 + new.held) < 8e18, held + new.held, null)
  where scope = 'all' and whose = '' and since <= new.at and until > new.at;
  update account set
    spent = iif(abs(spent + 0.0 + new.spent) < 8e18, spent + new.spent, null),
    held = iif(abs(held + 0.0 + new.held) < 8e18, held + new.held, null)
  where scope = 'key' and whose = new.key and since <= new.at and until > new.at;
  update account set
    spent = iif(abs(spent + 0.0 + new.spent) < 8e18, spent + new.spent, null),
    held = iif(abs(held + 0.0 + new.held) < 8e18, held + new.held, null)
  where scope = 'task' and whose = new.task and since <= new.at and until > new.at;
end;

create trigger intent_holds after insert on intent
when new.worst_units > 0 and exists (select 1 from account)
begin
  insert into movement values (new.key, new.task, new.at, 0, new.worst_units);
end;

create trigger settlement_spends after insert on settlement
when exists (select 1 from account)
begin
  insert into movement
  select
    key, task, at,
    coalesce(new.cost_units + iif(new.is_byok, coalesce(new.upstream_units, 0), 0), worst_units, 0),
    -coalesce(worst_units, 0)
  from intent where id = new.intent;
end;

-- What the settlement counted goes, and what is known now comes.
create trigger reconciliation_corrects after insert on reconciliation
when new.cost_units is not null and exists (select 1 from account)
begin
  insert into movement
  select
    i.key, i.task, i.at,
    new.cost_units + iif(new.is_byok, coalesce(new.upstream_units, 0), 0)
      - coalesce(s.cost_units + iif(s.is_byok, coalesce(s.upstream_units, 0), 0), i.worst_units, 0),
    0
  from intent i join settlement s on s.intent = i.id where i.id = new.intent;
end;
