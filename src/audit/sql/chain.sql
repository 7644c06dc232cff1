-- Committed transactions are numbered without a gap, each begins with the balance that the one before left, and its
-- effect is its amount by its type's sign.
--
-- Parameters: $1 tenant_id text[]   $2 how many are told at the most
-- Result: a row per difference, {tenant_id, id, what, found, expected}.
--
-- In the order of the index of sequence numbers: nothing has to be sorted, however many rows a tenant has.
WITH numbered AS (
  SELECT
    b.tenant_id, b.id, b.type, b.status, b.amount, b.seq, b.balance_before, b.balance_after,
    coalesce(lag(b.seq) OVER chain, 0) + 1 AS next_seq,
    coalesce(lag(b.balance_after) OVER chain, 0) AS balance_left,
    b.balance_before + CASE b.type WHEN 'CHARGE' THEN -b.amount ELSE b.amount END AS balance_sum
  FROM billing_transaction b
  WHERE b.tenant_id = ANY ($1::text[]) AND b.seq IS NOT NULL
  WINDOW chain AS (PARTITION BY b.tenant_id ORDER BY b.seq)
)
SELECT n.tenant_id, n.id, f.what, f.found, f.expected
FROM numbered n
CROSS JOIN LATERAL (
  VALUES
    ('seq', n.seq::text, n.next_seq::text, n.seq = n.next_seq),
    ('balance_before', n.balance_before::text, n.balance_left::text, n.balance_before = n.balance_left),
    ('balance_after', n.balance_after::text, n.balance_sum::text, n.balance_after = n.balance_sum),
    ('amount', n.amount::text, 'zero or more', n.type NOT IN ('CHARGE', 'TOPUP') OR n.amount >= 0),
    ('status', n.status, 'COMMITTED', n.status = 'COMMITTED')
) f (what, found, expected, holds)
WHERE f.holds IS NOT TRUE
LIMIT $2::integer
