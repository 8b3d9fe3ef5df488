/** The bill of materials of the product, CycloneDX 1.6: `bun run sbom [path]`, and `wabun sbom`. The same input gives the same bytes. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Locked, type Lockfile, needsOf, reachable, readLockfile } from './lockfile'
import { RUNNING } from './packages'

export type Product = { name: string; version: string; license: string; packageManager: string }

/** The document for what runs; nothing that only builds or tests is in it. */
export function makeSbom(product: Product, lock: Lockfile): object {
  const running = reachable(lock, Object.keys(lock.dependencies))
  // A package that two others bring in two places is one component.
  const unique = [...new Map(running.map((one) => [one.spec, one])).values()]
  const runtime = bun(product)
  const root = `pkg:generic/${product.name}@${product.version}`
  const components = [runtime, ...unique.map(component)]
  const dependencies = [
    {
      ref: root,
      dependsOn: [
        runtime['bom-ref'],
        ...running.filter(({ key }) => key in lock.dependencies).map(purl),
      ].sort(),
    },
    { ref: runtime['bom-ref'], dependsOn: [] },
    ...unique.map((one) => ({
      ref: purl(one),
      dependsOn: [...new Set(needsOf(lock, one).map(purl))].sort(),
    })),
  ]
  const body = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': root,
        name: product.name,
        version: product.version,
        purl: root,
        licenses: [{ license: { id: product.license } }],
      },
      tools: {
        components: [
          { type: 'application', name: `${product.name} build/sbom.ts`, version: product.version },
        ],
      },
    },
    components,
    dependencies,
  }
  return { ...body, serialNumber: serialNumber(JSON.stringify(body)) }
}

/** https://github.com/package-url/purl-spec: the `@` of a scope is written as %40. */
const purl = ({ name, version }: Locked): string =>
  `pkg:npm/${name.replace(/^@/, '%40')}@${encodeURIComponent(version)}`

function component(one: Locked) {
  const [scope, name] = one.name.startsWith('@') ? one.name.split('/') : [undefined, one.name]
  return {
    type: 'library',
    'bom-ref': purl(one),
    ...(scope ? { group: scope } : {}),
    name,
    version: one.version,
    scope: 'required',
    hashes: [{ alg: 'SHA-512', content: Buffer.from(one.integrity.slice(7), 'base64').toString('hex') }],
    licenses: [license(RUNNING[one.spec])],
    purl: purl(one),
  }
}

/** SPDX ids alone, or an expression of several. */
const license = (said: string | undefined) =>
  said === undefined
    ? { license: { name: 'not reviewed' } }
    : / (?:OR|AND|WITH) /.test(said)
      ? { expression: said }
      : { license: { id: said } }

function bun({ packageManager }: Product) {
  const version = packageManager.split('@')[1] ?? ''
  const ref = `pkg:generic/bun@${version}`
  return {
    type: 'platform',
    'bom-ref': ref,
    name: 'bun',
    version,
    scope: 'required',
    licenses: [{ license: { id: 'MIT' } }],
    purl: ref,
  }
}

/** A UUID that follows from the content (RFC 9562, version 8). */
function serialNumber(content: string): string {
  const bytes = createHash('sha256').update(content).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return `urn:uuid:${[hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')}`
}

/** Its text. */
export const sbomText = (product: Product, lockfile: string): string =>
  `${JSON.stringify(makeSbom(product, readLockfile(lockfile)), null, 2)}\n`

if (import.meta.main) {
  const root = join(import.meta.dir, '..')
  const read = (name: string): string => readFileSync(join(root, name), 'utf8')
  const text = sbomText(JSON.parse(read('package.json')) as Product, read('bun.lock'))
  const file = process.argv[2]
  if (file === undefined) process.stdout.write(text)
  else await Bun.write(file, text)
}
