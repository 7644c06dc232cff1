-- What a tenant had left of its money and has left now: of the balance that its last credit made, and of its credit limit.
-- Of `t`, the tenant's row before, `u`, its row after, and `s.credited`, the balance right after the last credit in
-- this statement, or null: what ran out before that credit is not worth a warning any more.
(
  VALUES
    (
      'balance.low',
      coalesce(s.credited, t.balance),
      u.quota_balance,
      greatest(coalesce(s.credited, t.warning_base), 0)
    ),
    (
      'credit.low',
      least(coalesce(s.credited, t.balance), 0) + t.credit_limit,
      least(u.quota_balance, 0) + t.credit_limit,
      t.credit_limit
    )
) AS m (type, left_before, left_after, whole)
