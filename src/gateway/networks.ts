import { BlockList, isIP, isIPv6 } from 'node:net';

/** Networks in CIDR notation, and single addresses, of both versions of IP. */
export type Networks = readonly string[];

/** One list a version: every IPv4 address would be in "::/0" otherwise. */
interface Lists {
  readonly ipv4: BlockList;
  readonly ipv6: BlockList;
}

/** A list of networks belongs to an API key in the catalogue's cache: read once for as long as it is there. */
const known = new WeakMap<Networks, Lists>();

function listsOf(networks: Networks): Lists {
  const read = known.get(networks);
  if (read !== undefined) return read;
  const lists: Lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) lists[family].addAddress(address, family);
    else lists[family].addSubnet(address, Number(prefix), family);
  }
  known.set(networks, lists);
  return lists;
}

/** As sockets and proxies write it: mapped into IPv6, with a zone, in brackets, with a port. */
function plainAddress(address: string): string {
  const withoutPort =
    /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address;
  const [withoutZone = ''] = withoutPort.split('%', 1);
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(withoutZone)?.[1] ?? withoutZone;
}

/** Whether an address is in one of the networks. What is no address isn't. */
export function isInNetworks(address: string, networks: Networks): boolean {
  const plain = plainAddress(address);
  switch (isIP(plain)) {
    case 4:
      return listsOf(networks).ipv4.check(plain, 'ipv4');
    case 6:
      return listsOf(networks).ipv6.check(plain, 'ipv6');
    default:
      return false;
  }
}
