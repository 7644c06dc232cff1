import { describe, expect, it } from 'vitest';
import { isInNetworks } from './networks.ts';

describe('an address', () => {
  it.each([
    ['203.0.113.7', '203.0.113.0/24'],
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.0/24'],
    ['203.0.113.7:4711', '203.0.113.0/24'],
    ['2001:db8:1::1', '2001:db8::/32'],
    ['[2001:db8:1::1]:4711', '2001:db8::/32'],
    ['[2001:db8:1::1]', '2001:db8::/32'],
    ['fe80::1%eth0', 'fe80::/10'],
    ['203.0.113.7', '0.0.0.0/0'],
  ])('%s is in %s', (address, network) => {
    expect(isInNetworks(address, ['198.51.100.0/24', network])).toBe(true);
  });

  it.each([
    ['203.0.114.7', '203.0.113.0/24'],
    ['2001:db9::1', '2001:db8::/32'],
    // Every IPv6 address, and no other.
    ['203.0.113.7', '::/0'],
    ['2001:db8::1', '0.0.0.0/0'],
    ['unknown', '0.0.0.0/0'],
    ['', '::/0'],
  ])('%s is not in %s', (address, network) => {
    expect(isInNetworks(address, [network])).toBe(false);
  });
});
