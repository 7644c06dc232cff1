import { BlockList, isIPv6 } from 'node:net';

/** Networks in CIDR notation, of both versions of IP. */
export type Networks = readonly string[];

/** A list of networks belongs to an API key in the catalogue's cache: read once for as long as it is there. */
const lists = new WeakMap<Networks, BlockList>();

function listOf(networks: Networks): BlockList {
  const known = lists.get(networks);
  if (known !== undefined) return known;
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  lists.set(networks, list);
  return list;
}

/** Whether an address is in one of the networks; "::ffff:192.0.2.1" is the IPv4 address that it carries. */
export function isInNetworks(address: string, networks: Networks): boolean {
  const [withoutZone = ''] = address.split('%', 1);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(withoutZone)?.[1];
  const plain = mapped ?? withoutZone;
  return listOf(networks).check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
}
