import { describe, expect, test } from 'bun:test'
import { addressReader } from '../../src/http/address'
import { isAdmitted } from '../../src/http/guard'

const PROXIES = ['10.0.0.0/8', '2001:db8:1::/48', '127.0.0.1']

const from = (peer: string | null, forwarded?: string, trusted: readonly string[] = PROXIES) =>
  addressReader(trusted)(new Headers(forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }), peer)

describe('where a request comes from', () => {
  test.each([
    ['the peer itself', '198.51.100.7', undefined, '198.51.100.7'],
    ['the peer, whatever it claims', '198.51.100.7', '192.0.2.1', '198.51.100.7'],
    ['a caller behind a proxy', '10.0.0.1', '192.0.2.1', '192.0.2.1'],
    ['a caller behind two proxies', '10.0.0.1', '192.0.2.1, 10.0.0.2', '192.0.2.1'],
    ['what the nearest stranger is, not what it claims', '10.0.0.1', '203.0.113.5, 192.0.2.1', '192.0.2.1'],
    ['a chain that a stranger has begun', '10.0.0.1', '10.9.9.9, 192.0.2.1, 10.0.0.2', '192.0.2.1'],
    ['a proxy that says nothing of anybody', '10.0.0.1', undefined, '10.0.0.1'],
    ['proxies all the way', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['an empty claim', '10.0.0.1', '', '10.0.0.1'],
    ['a proxy on a socket that listens on IPv6', '::ffff:10.0.0.1', '192.0.2.1', '192.0.2.1'],
    ['the same in hexadecimal', '::ffff:a00:1', '::ffff:c000:201', '192.0.2.1'],
    ['a port', '10.0.0.1', '192.0.2.1:50000', '192.0.2.1'],
    ['IPv6 in its one form', '2001:db8:1::9', '2001:0DB8:0002:0:0:0:0:0001', '2001:db8:2::1'],
    ['IPv6 in brackets, with a port', '10.0.0.1', '[2001:db8:2::1]:443', '2001:db8:2::1'],
    ['a zone', 'fe80::1%eth0', undefined, 'fe80::1'],
    ['something that is no address', '10.0.0.1', '192.0.2.1, unknown', ''],
    ['an address with a leading zero', '10.0.0.1', '010.0.0.1', ''],
    ['no peer', null, '192.0.2.1', ''],
  ])('%s', (_, peer, forwarded, expected) => {
    expect(from(peer, forwarded)).toBe(expected)
  })

  test('without trusted proxies nobody is believed', () => {
    expect(from('10.0.0.1', '192.0.2.1', [])).toBe('10.0.0.1')
  })
})

describe('the list of a session', () => {
  const admits = (ipWhitelist: string[], address: string) =>
    isAdmitted({ settings: { ipWhitelist } as never }, address)

  test.each([
    ['192.0.2.1', '192.0.2.1', '192.0.2.2'],
    ['192.0.2.0/24', '192.0.2.255', '192.0.3.0'],
    ['192.0.2.1/32', '192.0.2.1', '192.0.2.0'],
    ['2001:db8::/32', '2001:db8:ffff::1', '2001:db9::1'],
    ['2001:DB8:0::1', '2001:db8::1', '2001:db8::2'],
    ['::ffff:192.0.2.1', '192.0.2.1', '192.0.2.2'],
    ['::ffff:192.0.2.0/120', '192.0.2.9', '192.0.3.9'],
    ['192.0.2.0/24', '::ffff:192.0.2.9', '::ffff:192.0.3.9'],
    ['0.0.0.0/0', '192.0.2.1', '2001:db8::1'],
    ['::/0', '2001:db8::1', ''],
  ])('%s lets %s through, not “%s”', (entry, inside, outside) => {
    expect([admits([entry], inside), admits([entry], outside)]).toEqual([true, false])
  })

  test('an address that nobody knows is on none; an empty list is for everybody', () => {
    expect(admits(['0.0.0.0/0', '::/0'], '')).toBe(false)
    expect(admits([], '')).toBe(true)
  })
})
