-- Opens transactions: one PENDING row per item. A trace id that was here before is left as it is.
--
-- Parameters, one array element per item:
--   $1 tenant_id text     $2 id uuid            $3 api_key_id text    $4 trace_id text
--   $5 request_hash text  $6 hold_amount, currency units              $7 currency text
--   $8 provider text      $9 model text         $10 rates, jsonb as text
--   $11 input_price and $12 output_price, currency units per 1,000,000 tokens, or null
--   $13 period_day date   $14 ttl_ms, milliseconds from now to its expiry  $15 owner text
--   $16 multiplier_ppm int8  $17 hold_tokens int8
--
-- Result: a row {id} per item that was written. An item without a row: its trace id exists, or its
-- tenant doesn't.
WITH item AS (
  SELECT *
  FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::numeric[], $12::numeric[], $13::date[], $14::bigint[], $15::text[],
    $16::bigint[], $17::bigint[]
  ) AS i (
    tenant_id, id, api_key_id, trace_id, request_hash, hold_amount, currency, provider,
    model, rates, input_price, output_price, period_day, ttl_ms, owner, multiplier_ppm,
    hold_tokens
  )
)
INSERT INTO billing_transaction (
  tenant_id, id, api_key_id, trace_id, type, status, request_hash, hold_amount, currency, provider,
  model, rates, input_price, output_price, period_day, expires_at, owner,
  multiplier_ppm, hold_tokens
)
SELECT
  i.tenant_id, i.id, i.api_key_id, i.trace_id, 'CHARGE', 'PENDING', i.request_hash, i.hold_amount,
  i.currency, i.provider, i.model, i.rates::jsonb, i.input_price, i.output_price, i.period_day,
  now() + i.ttl_ms * interval '1 millisecond', i.owner, i.multiplier_ppm,
  i.hold_tokens
FROM item i
WHERE EXISTS (SELECT FROM tenant_quota q WHERE q.tenant_id = i.tenant_id OFFSET 0)
ORDER BY i.tenant_id
ON CONFLICT (tenant_id, trace_id) DO NOTHING
RETURNING id
