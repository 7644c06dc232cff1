import { expect, it } from 'vitest';
import { documentedSeries, seriesOf, unknownSeries } from './metric-names.ts';

it('finds the names in an expression, and nothing else', () => {
  const expression = `
    histogram_quantile(0.99, sum by (job, le) (rate(tide_seconds_bucket{sea="north (cold)"}[5m])))
      / on (job) group_left (moon) max without (x) (level{a=~"b|c"} offset 15m) or vector(1e3)
      unless quiet * 100 and absent(up{job="x"})`;
  expect(seriesOf(expression)).toEqual(['tide_seconds_bucket', 'level', 'quiet', 'up']);
});

it('knows what the page of metrics names, a histogram by its series', async () => {
  const documented = await documentedSeries();
  expect(documented.size).toBeGreaterThan(50);
  for (const name of ['quota_check_passed_total', 'billing_duration_seconds_bucket', 'tollgate_workers'])
    expect(documented).toContain(name);
  expect(documented).not.toContain('billing_duration_seconds');
  expect(await unknownSeries(['tollgate_workers + up', 'tollgate_worker'])).toEqual(['tollgate_worker']);
});
