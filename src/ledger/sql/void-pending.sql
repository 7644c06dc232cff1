-- Closes PENDING transactions without a charge. The balance, its version and the counters don't change.
--
-- Parameters, one array element per item:
--   $1 tenant_id text   $2 id uuid   $3 description text
--   $4 outcome text     $5 stream boolean  $6 stream_completed boolean or null
--   $7 stream_error text or null           $8 finish_reason text or null
--   $9 latency_ms       $10 time_to_first_byte_ms or null
--
-- Result: a row {id} per item that was voided. An item without a row wasn't PENDING.
--
-- As for a commit, the status is looked at only once the row is locked.
WITH item AS (
  SELECT *
  FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::text[], $8::text[],
    $9::double precision[], $10::double precision[]
  ) AS i (
    tenant_id, id, description, outcome, stream, stream_completed, stream_error, finish_reason,
    latency_ms, time_to_first_byte_ms
  )
),
-- include lock-transactions
,
pending AS (
  SELECT * FROM locked WHERE status = 'PENDING'
),
closed AS (
  UPDATE billing_transaction b
  SET status = 'VOIDED', description = n.description, updated_at = now()
  FROM pending n
  WHERE
    -- include found-by-keys
  RETURNING b.id
),
recorded AS (
  INSERT INTO usage_record (
    tenant_id, transaction_id, outcome, stream, stream_completed, stream_error, finish_reason,
    latency_ms, time_to_first_byte_ms
  )
  SELECT
    p.tenant_id, p.id, p.outcome, p.stream, p.stream_completed, p.stream_error, p.finish_reason,
    p.latency_ms, p.time_to_first_byte_ms
  FROM pending p
)
SELECT id FROM closed
