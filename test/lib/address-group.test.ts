/** Who counts as one caller: an IPv4 address, a /64 of IPv6. */
import { describe, expect, test } from 'bun:test'
import { addressGroup } from '../../src/lib/address-group'

describe('addressGroup', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2'],
    ['2001:db8:1:2::', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['::', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['64:ff9b::203.0.113.7', '64:ff9b:0:0'],
    ['1:2:3:4:5:6:203.0.113.7', '1:2:3:4'],
    ['', ''],
    ['no address', 'no address'],
  ])('%s → %s', (address, group) => {
    expect(addressGroup(address)).toBe(group)
  })
})
