import { describe, expect, test } from 'bun:test'
import type { AddressPolicy } from '../../src/lib/addresses'
import { createTargetVetting, type Resolve, urlAllowed } from '../../src/lib/target'
import { FORBIDDEN_URLS } from './forbidden-urls'

const STRICT: AddressPolicy = { allowInsecure: false, allowNetworks: [] }
const PLAIN: AddressPolicy = { ...STRICT, allowPlain: true }
const LOCAL: AddressPolicy = { allowInsecure: true, allowNetworks: [] }

describe('URLs as text', () => {
  test.each(FORBIDDEN_URLS.map((url) => [url.slice(0, 50), url]))(
    '%s is refused, also with plain http',
    (_, url) => {
      expect(urlAllowed(url, STRICT)).toBe(false)
      expect(urlAllowed(url, PLAIN)).toBe(false)
    },
  )
  test('control: what looks like it and is public is allowed', () => {
    expect(urlAllowed('https://example.com/a?b=1', STRICT)).toBe(true)
    expect(urlAllowed('http://example.com/', STRICT)).toBe(false)
    expect(urlAllowed('http://example.com/', PLAIN)).toBe(true)
    expect(urlAllowed(`https://example.com/${'a'.repeat(5_000)}`, STRICT)).toBe(false)
    expect(urlAllowed(`https://example.com/${'a'.repeat(5_000)}`, STRICT, { longest: 8_000 })).toBe(true)
  })
})

describe('names as they resolve now', () => {
  const vet = (addresses: Record<string, string[]>, policy = STRICT) => {
    const vetTarget = createTargetVetting(policy, {
      own: () => ['9.9.9.9'],
      resolve: async (host) => {
        const found = addresses[host]
        if (!found) throw new Error('ENOTFOUND')
        return found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
      },
    })
    return (url: string) => vetTarget(url)
  }

  test('a public name leads to its address, with its own name for Host and certificate', async () => {
    const target = await vet({ 'hooks.example': ['2606:4700::1111', '8.8.8.8'] })(
      'https://hooks.example:8443/a?b=1#c',
    )
    expect(target).toEqual({
      urls: ['https://8.8.8.8:8443/a?b=1', 'https://[2606:4700::1111]:8443/a?b=1'],
      host: 'hooks.example:8443',
      serverName: 'hooks.example',
    })
  })
  test('a name with one private address among public ones is refused', async () => {
    expect(await vet({ 'mixed.example': ['8.8.8.8', '10.0.0.1'] })('https://mixed.example/')).toBe(
      'forbidden',
    )
  })
  test('a name that leads to this machine is refused, mapped or not', async () => {
    const at = vet({ a: ['127.0.0.1'], b: ['::ffff:127.0.0.1'], c: ['::1'], d: ['169.254.169.254'] })
    for (const name of ['a', 'b', 'c', 'd']) expect(await at(`https://${name}/`)).toBe('forbidden')
  })
  test('metadata stays closed for local use', async () => {
    expect(await vet({ sneaky: ['169.254.169.254'] }, LOCAL)('http://sneaky/')).toBe('forbidden')
  })
  test('plain http needs every address to be opened', async () => {
    const policy = { allowInsecure: false, allowNetworks: ['10.0.0.0/8'] }
    const at = vet({ lan: ['10.1.1.1'], wan: ['8.8.8.8'] }, policy)
    expect(await at('http://lan/')).toMatchObject({ urls: ['http://10.1.1.1/'], serverName: null })
    expect(await at('http://wan/')).toBe('forbidden')
  })
  test('a name that nobody knows is no address', async () => {
    expect(await vet({})('https://nowhere.example/')).toBe('unresolved')
  })
  test('a public address of this very machine is as private as 127.0.0.1', async () => {
    const names = { me: ['9.9.9.9'], mapped: ['::ffff:9.9.9.9'], other: ['9.9.9.8'] }
    for (const url of ['https://me/', 'https://mapped/', 'https://9.9.9.9/']) {
      expect(await vet(names)(url)).toBe('forbidden')
      expect(await vet(names, LOCAL)(url)).toMatchObject({ host: new URL(url).host })
    }
    expect(await vet(names)('https://other/')).toMatchObject({ host: 'other' })
  })
  test('the own port is no target, whatever is opened', async () => {
    const place = { own: () => ['8.8.8.8'], ownPort: () => 3000 }
    const open = { allowInsecure: true, allowNetworks: ['127.0.0.0/8'] }
    const own = [
      '127.0.0.1',
      '127.1.2.3',
      'localhost',
      'x.localhost',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '8.8.8.8',
    ]
    for (const host of own) {
      expect(urlAllowed(`http://${host}:3000/`, open, place)).toBe(false)
      expect(urlAllowed(`http://${host}:3001/`, open, place)).toBe(true)
      expect(urlAllowed(`http://${host}:3000/`, open, { ...place, ownPort: () => null })).toBe(true)
    }
    const resolve: Resolve = async () => ['10.0.0.1', '127.0.0.1'].map((address) => ({ address, family: 4 }))
    const vetted = createTargetVetting(open, { ...place, resolve })
    expect(await vetted('http://inside.example:3000/')).toBe('forbidden')
    expect(await vetted('http://inside.example:3001/')).toMatchObject({ host: 'inside.example:3001' })
    const usual = createTargetVetting(open, { ownPort: () => 80, resolve })
    expect(await usual('http://inside.example/')).toBe('forbidden')
    expect(await usual('https://inside.example/')).toMatchObject({ host: 'inside.example' })
  })
  test('what is remembered of a URL are neither its addresses nor what this machine is', async () => {
    let addresses = ['8.8.8.8']
    let own: string[] = []
    let port: number | null = null
    const vetted = createTargetVetting(STRICT, {
      own: () => own,
      ownPort: () => port,
      resolve: async () => addresses.map((address) => ({ address, family: 4 })),
    })
    const urls = ['https://hooks.example/', 'https://8.8.8.8/']
    for (const url of urls) expect(await vetted(url)).toMatchObject({ urls: ['https://8.8.8.8/'] })
    own = ['8.8.8.8']
    for (const url of urls) expect(await vetted(url)).toBe('forbidden')
    own = []
    for (const url of urls) expect(await vetted(url)).toMatchObject({ urls: ['https://8.8.8.8/'] })
    addresses = ['8.8.8.8', '10.0.0.1']
    expect(await vetted('https://hooks.example/')).toBe('forbidden')
    addresses = ['8.8.4.4']
    expect(await vetted('https://hooks.example/')).toMatchObject({ urls: ['https://8.8.4.4/'] })
    const local = createTargetVetting(LOCAL, { ownPort: () => port })
    expect(await local('https://127.0.0.1/')).toMatchObject({ host: '127.0.0.1' })
    port = 443
    expect(await local('https://127.0.0.1/')).toBe('forbidden')
  })
  test('plain http to the public Internet is opened apart from everything else', async () => {
    const at = vet({ wan: ['8.8.8.8'], lan: ['10.1.1.1'] }, PLAIN)
    expect(await at('http://wan/')).toMatchObject({ urls: ['http://8.8.8.8/'] })
    expect(await at('http://8.8.8.8/')).toMatchObject({ urls: ['http://8.8.8.8/'] })
    for (const url of ['http://lan/', 'https://lan/', 'http://127.0.0.1/'])
      expect(await at(url)).toBe('forbidden')
  })
  test('literal addresses carry no server name', async () => {
    expect(await vet({})('https://8.8.8.8/')).toMatchObject({ urls: ['https://8.8.8.8/'], serverName: null })
  })
})
