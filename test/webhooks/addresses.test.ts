import { describe, expect, test } from 'bun:test'
import { type AddressPolicy, addressKind, addressRules } from '../../src/webhooks/addresses'
import { checkWebhookUrl, createTargetVetting } from '../../src/webhooks/target'

const STRICT: AddressPolicy = { allowInsecure: false, allowNetworks: [] }
const LOCAL: AddressPolicy = { allowInsecure: true, allowNetworks: [] }

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

describe('URLs as text', () => {
  const REFUSED = [
    'http://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://１２７.０.０.１/',
    'https://127。0。0。1/',
    'https://localhost/',
    'https://localhost./',
    'https://a.localhost/',
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://192.168.1.1/',
    'https://100.64.0.1/',
    'https://198.18.0.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://169.254.169.254./',
    'https://[fd00:ec2::254]/',
    'https://metadata.google.internal/',
    'https://0.0.0.0/',
    'https://[::]/',
    'https://[::1]/',
    'https://[::ffff:7f00:1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://[fe80::1]/',
    'https://[fc00::1]/',
    'http://example.com/',
    'file:///etc/passwd',
    'ftp://example.com/',
    'gopher://example.com/',
    'data:text/plain,x',
    'javascript:alert(1)',
    'ws://example.com/',
    'https://user:pass@example.com/',
    'https://user@example.com/',
    'https://example.com:22/',
    'https://example.com:25/',
    'https://example.com:6379/',
    'https://example.com:0/',
    'https://',
    'example.com/hook',
    '',
    `https://example.com/${'a'.repeat(9_000)}`,
  ]
  for (const url of REFUSED) {
    test(`${url.slice(0, 50)} is refused`, () => {
      let refusal: unknown
      try {
        checkWebhookUrl(url, STRICT)
      } catch (error) {
        refusal = error
      }
      expect(refusal).toMatchObject({
        code: 'WEBHOOK_URL_FORBIDDEN',
        status: 400,
        message: 'This webhook URL is not allowed',
      })
    })
  }

  for (const url of ['https://example.com/hook?a=1', 'https://example.com:8443/', 'https://8.8.8.8/x']) {
    test(`${url} is accepted`, () => expect(() => checkWebhookUrl(url, STRICT)).not.toThrow())
  }
  for (const url of [
    'http://127.0.0.1:3000/',
    'http://localhost:9999/',
    'http://[::1]/',
    'http://n8n:5678/',
  ]) {
    test(`${url} is accepted for local use`, () => {
      expect(() => checkWebhookUrl(url, LOCAL)).not.toThrow()
    })
  }
  for (const url of [
    'http://169.254.169.254/',
    'http://0.0.0.0/',
    'http://[fe80::1]/',
    'http://localhost:22/',
  ]) {
    test(`${url} is refused even for local use`, () => expect(() => checkWebhookUrl(url, LOCAL)).toThrow())
  }
})

describe('names as they resolve now', () => {
  const vet = (addresses: Record<string, string[]>, policy = STRICT) => {
    const vetTarget = createTargetVetting(policy, async (host) => {
      const found = addresses[host]
      if (!found) throw new Error('ENOTFOUND')
      return found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
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
  test('literal addresses carry no server name', async () => {
    expect(await vet({})('https://8.8.8.8/')).toMatchObject({ urls: ['https://8.8.8.8/'], serverName: null })
  })
})
