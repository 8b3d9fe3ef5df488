import { describe, expect, test } from 'bun:test'
import { addressKind, addressRules } from '../../src/lib/addresses'

describe('kinds of addresses', () => {
  const KINDS: Record<string, readonly string[]> = {
    public: ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'],
    private: [
      '127.0.0.1',
      '127.255.1.1',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.0.1',
      '100.64.0.1',
      '::1',
      'fc00::1',
      'fd12:3456::1',
      '[::ffff:7f00:1]',
      '::ffff:10.0.0.1',
      '64:ff9b::7f00:1',
      '64:ff9b::10.0.0.1',
    ],
    special: [
      '0.0.0.0',
      '169.254.1.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '192.0.2.1',
      '::',
      'fe80::1',
      'fe80::1%eth0',
      'ff02::1',
      '2002:7f00:1::',
      '2001:db8::1',
      '2001::1',
      '64:ff9b:1::1',
      'not an address',
    ],
    metadata: [
      '169.254.169.254',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '64:ff9b::a9fe:a9fe',
      '169.254.170.2',
      '168.63.129.16',
      '100.100.100.200',
      'fd00:ec2::254',
    ],
  }
  for (const [kind, addresses] of Object.entries(KINDS)) {
    for (const address of addresses) {
      test(`${address} is ${kind}`, () => expect<string>(addressKind(address)).toBe(kind))
    }
  }

  test('a listed network opens what it names and nothing else, metadata never', () => {
    const rules = addressRules({ allowInsecure: false, allowNetworks: ['192.168.7.0/24', '169.254.0.0/16'] })
    expect(rules.mayReach('192.168.7.9')).toBe(true)
    expect(rules.mayReach('::ffff:192.168.7.9')).toBe(true)
    expect(rules.mayReachUnencrypted('192.168.7.9')).toBe(true)
    expect(rules.mayReach('192.168.8.9')).toBe(false)
    expect(rules.mayReachUnencrypted('8.8.8.8')).toBe(false)
    expect(rules.mayReach('169.254.9.9')).toBe(true)
    expect(rules.mayReach('169.254.169.254')).toBe(false)
  })
})
