-- What models have taught by refusing: what an outcome teaches, and for how long, is not the ledger's business.

create table learnt (
  model text not null,
  outcome text not null,
  at integer not null,
  primary key (model, outcome)
) strict, without rowid;

create trigger settlement_teaches after insert on settlement
when new.outcome in ('prefill_refused', 'reasoning_mandatory')
begin
  insert into learnt (model, outcome, at)
  select model, new.outcome, new.at from intent where id = new.intent
  on conflict (model, outcome) do update set at = excluded.at;
end;
