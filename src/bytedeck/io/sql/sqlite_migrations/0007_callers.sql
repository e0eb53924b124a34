-- Virtual keys. Of a secret only the digest is kept; the key itself is JSON that holds no secret. The key that went
-- upstream, where it is another one than the row's own.

alter table intent add column upstream_key text not null default '';

create table caller (
  name text primary key,
  said text not null
) strict, without rowid;

-- `until`: of a secret that was replaced, the first moment at which it is not accepted any more, in microseconds since 1970.
create table secret (
  digest text primary key,
  name text not null,
  until integer
) strict, without rowid;

-- Moves with every change above. It begins anywhere, so that another file has another one.
create table callers_version (
  id integer primary key check (id = 1),
  version integer not null
) strict;

insert into callers_version (id, version) values (1, 1 + (random() & 0xffffffffffff));

create trigger caller_comes after insert on caller
begin
  update callers_version set version = version + 1;
end;

create trigger caller_changes after update on caller
begin
  update callers_version set version = version + 1;
end;

create trigger caller_goes after delete on caller
begin
  update callers_version set version = version + 1;
end;

create trigger secret_comes after insert on secret
begin
  update callers_version set version = version + 1;
end;

create trigger secret_changes after update on secret
begin
  update callers_version set version = version + 1;
end;

create trigger secret_goes after delete on secret
begin
  update callers_version set version = version + 1;
end;

drop view attempts;

create view attempts as
select
  i.id,
  i.attempt,
  i.request,
  i.number,
  i.at,
  i.task,
  i.model,
  i.key,
  i.streamed,
  i.worst_units,
  i.owner,
  s.at as settled_at,
  r.at as reconciled_at,
  coalesce(s.outcome, '') as outcome,
  iif(r.cost_units is null, coalesce(s.quality, 'unknown'), r.quality) as quality,
  coalesce(s.model, '') as answered,
  coalesce(s.provider, '') as provider,
  coalesce(nullif(s.generation_id, ''), o.generation_id, '') as generation_id,
  coalesce(s.finish_reason, '') as finish_reason,
  coalesce(s.error, '') as error,
  coalesce(r.cost_units, s.cost_units) as cost_units,
  iif(r.cost_units is null, coalesce(s.cost_text, ''), r.cost_text) as cost_text,
  iif(r.cost_units is null, s.upstream_units, r.upstream_units) as upstream_units,
  iif(r.cost_units is null, coalesce(s.is_byok, 0), r.is_byok) as is_byok,
  iif(r.cost_units is null, coalesce(s.prompt_tokens, 0), r.prompt_tokens) as prompt_tokens,
  iif(r.cost_units is null, coalesce(s.completion_tokens, 0), r.completion_tokens) as completion_tokens,
  iif(r.cost_units is null, coalesce(s.total_tokens, 0), r.total_tokens) as total_tokens,
  iif(r.cost_units is null, coalesce(s.cached_tokens, 0), r.cached_tokens) as cached_tokens,
  -- The upstream's record does not tell them.
  max(coalesce(r.cache_write_tokens, 0), coalesce(s.cache_write_tokens, 0)) as cache_write_tokens,
  iif(r.cost_units is null, coalesce(s.reasoning_tokens, 0), r.reasoning_tokens) as reasoning_tokens,
  coalesce(s.web_searches, 0) as web_searches,
  s.first_token_us,
  coalesce(s.duration_us, 0) as duration_us,
  i.upstream_key
from intent i
left join opened o on o.intent = i.id
left join settlement s on s.intent = i.id
left join reconciliation r on r.intent = i.id;
