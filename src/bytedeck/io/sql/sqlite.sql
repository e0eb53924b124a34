-- The statements of the SQLite ledger. A sum of money is split in two (billions of units, and the
-- rest), so that no sum overflows 64 bits; `spend` is the charge and, with one's own provider key,
-- the provider's bill.

-- name: begin
insert into intent (attempt, request, number, task, model, key, streamed, worst_units, owner, at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: mark
insert into opened (intent, generation_id, at)
select id, ?2, ?3 from intent where attempt = ?1
on conflict do nothing

-- name: settle
insert into settlement (
  intent, outcome, quality, cost_units, cost_text, upstream_units, is_byok, prompt_tokens,
  completion_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, web_searches,
  model, provider, generation_id, finish_reason, error, first_token_us, duration_us, at
)
select id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22
from intent where attempt = ?1
on conflict do nothing

-- name: rows
select
  attempt, request, number, at, task, model, key, streamed, worst_units, owner, settled_at, outcome,
  quality, answered, provider, generation_id, finish_reason, error, cost_units, cost_text,
  upstream_units, is_byok, prompt_tokens, completion_tokens, total_tokens, cached_tokens,
  cache_write_tokens, reasoning_tokens, web_searches, first_token_us, duration_us
from attempts where at >= :since order by id desc limit :limit

-- name: usage
select
  case :by when 'task' then task when 'model' then model when 'key' then key else '' end as label,
  at / 86400000000 as day,
  count(*),
  sum(prompt_tokens),
  sum(completion_tokens),
  coalesce(sum(cost_units / 1000000000 + upstream / 1000000000), 0),
  coalesce(sum(cost_units % 1000000000 + upstream % 1000000000), 0),
  count(*) - count(cost_units),
  sum(cost_units is not null and quality in ('partial', 'estimated'))
from (select *, iif(is_byok, coalesce(upstream_units, 0), 0) as upstream from attempts)
where at >= :since group by label, day

-- name: requests
select
  case :by when 'task' then task when 'model' then model when 'key' then key
    else date(at / 1000000, 'unixepoch') end as label,
  count(distinct request)
from intent where at >= :since group by label

-- name: all_requests
select count(distinct request) from intent where at >= :since

-- name: costs
select attempt, cost_units, cost_text, upstream_units, is_byok from attempts

-- name: states
select settled_at is not null, cost_units is null, generation_id <> '', owner, count(*)
from attempts group by 1, 2, 3, 4

-- name: without_intent
select kind, count(*) from (
  select 'generation id' as kind, intent from opened
  union all select 'settlement', intent from settlement
  union all select 'reconciliation', intent from reconciliation
) where intent not in (select id from intent) group by kind

-- name: last_intent
select coalesce(max(id), 0) from intent

-- name: recent
select i.id, i.attempt, i.model, i.key, i.at, s.at, s.outcome, s.first_token_us, s.duration_us, s.completion_tokens
from intent i left join settlement s on s.intent = i.id
where i.id > :first and +i.at >= :since order by i.id

-- name: watched
select i.id, i.attempt, i.model, i.key, i.at, s.at, s.outcome, s.first_token_us, s.duration_us, s.completion_tokens
from intent i left join settlement s on s.intent = i.id
where i.id = :id and i.at >= :since

-- name: learnt
select model, outcome, at from learnt
