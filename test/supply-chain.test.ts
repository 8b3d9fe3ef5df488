/** What may be installed: the reviewed list against the lockfile, and the bill of materials. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Lockfile, reachable, readLockfile } from '../build/lockfile'
import { BUILDING, DIRECT, FOR_MACHINES, NEVER_INSTALLED, RUNNING, SCRIPTS_REFUSED } from '../build/packages'
import { makeSbom, type Product, sbomText } from '../build/sbom'

const ROOT = join(import.meta.dir, '..')
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8')
const LOCK = read('bun.lock')
const PACKAGE = JSON.parse(read('package.json')) as Product & Manifest
const WEEK = 7 * 24 * 3600

type Manifest = {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  trustedDependencies?: string[]
  optionalDependencies?: object
  peerDependencies?: object
  overrides?: object
  patchedDependencies?: object
  scripts: Record<string, string>
}

const EXACT = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/
/** Scripts of ours that an installation would run. */
const HOOKS = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare']

/** Everything that is not as reviewed, one sentence each. */
function findings(text: string, manifest: Manifest): string[] {
  const lock = readLockfile(text)
  const listed = [
    ...Object.keys(RUNNING),
    ...Object.keys(BUILDING),
    ...FOR_MACHINES.flatMap(({ packages }) => packages),
    ...NEVER_INSTALLED,
  ]
  const present = lock.packages.map(({ spec }) => spec)
  const declared = { ...manifest.dependencies, ...manifest.devDependencies }
  return [
    ...lock.strange.map((entry) => `no package of the registry: ${entry}`),
    ...present.filter((spec) => !listed.includes(spec)).map((spec) => `not reviewed: ${spec}`),
    ...listed.filter((spec) => !present.includes(spec)).map((spec) => `reviewed and not there: ${spec}`),
    ...lock.packages.filter(({ registry }) => registry !== '').map(({ spec }) => `another registry: ${spec}`),
    ...lock.packages
      .filter(({ integrity }) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity))
      .map(({ spec }) => `no hash: ${spec}`),
    ...lock.packages
      .filter(({ hasInstallScript, name }) => hasInstallScript && !(name in SCRIPTS_REFUSED))
      .map(({ spec }) => `runs something when installed: ${spec}`),
    ...[lock.trusted, manifest.trustedDependencies ?? null].flatMap((trusted) =>
      trusted === null
        ? ['the usual list of trusted packages holds']
        : trusted.map((name) => `is trusted: ${name}`),
    ),
    ...Object.entries(declared)
      .filter(([, version]) => !EXACT.test(version))
      .map(([name, version]) => `not exact: ${name} ${version}`),
    ...Object.entries(declared)
      .filter(([name, version]) => ({ ...lock.dependencies, ...lock.devDependencies })[name] !== version)
      .map(([name]) => `not in the lockfile: ${name}`),
    ...Object.keys(declared)
      .filter((name) => !(name in DIRECT))
      .map((name) => `nobody says what for: ${name}`),
    ...Object.keys(DIRECT)
      .filter((name) => !(name in declared))
      .map((name) => `not needed any more: ${name}`),
    ...(['optionalDependencies', 'peerDependencies', 'overrides', 'patchedDependencies'] as const)
      .filter((name) => name in manifest)
      .map((name) => `another way in: ${name}`),
    ...HOOKS.filter((name) => name in manifest.scripts).map((name) => `a script of ours: ${name}`),
  ]
}

describe('the lockfile', () => {
  test('has what was reviewed and nothing else, from the registry, with hashes; nothing is run, everything is exact', () => {
    expect(findings(LOCK, PACKAGE)).toEqual([])
    expect(readLockfile(LOCK).packages.length).toBeGreaterThan(150)
  })

  const HASH = `sha512-${'A'.repeat(86)}==`
  const put = (line: string): string => LOCK.replace('"packages": {', `"packages": {\n    ${line},\n`)
  test.each([
    [
      'a package that nobody knows',
      put(`"lotusbail": ["lotusbail@1.0.0", "", {}, "${HASH}"]`),
      'not reviewed: lotusbail@1.0.0',
    ],
    ['a second version', put(`"qrcode/jsqr": ["jsqr@1.4.1", "", {}, "${HASH}"]`), 'not reviewed: jsqr@1.4.1'],
    [
      'a repository',
      put('"x": ["x@git+ssh://git@example.com/x.git#0123456", {}, "x-0123456"]'),
      'no package of the registry: x',
    ],
    [
      'a repository of GitHub',
      put('"x": ["x@github:who/x#0123456", {}, "who-x-0123456"]'),
      'no package of the registry: x',
    ],
    ['an archive', put('"x": ["x@https://example.com/x.tgz", {}]'), 'no package of the registry: x'],
    ['a folder', put('"x": ["x@file:../x", {}]'), 'no package of the registry: x'],
    [
      'another registry',
      LOCK.replace('["jsqr@1.4.0", ""', '["jsqr@1.4.0", "https://registry.example.com/jsqr.tgz"'),
      'another registry: jsqr@1.4.0',
    ],
    ['no hash', LOCK.replace(/(\["jsqr@1\.4\.0".*)"sha512-[^"]*"/, '$1""'), 'no hash: jsqr@1.4.0'],
    [
      'a weaker hash',
      LOCK.replace(/(\["jsqr@1\.4\.0".*)"sha512-[^"]*"/, '$1"sha1-AAAA"'),
      'no hash: jsqr@1.4.0',
    ],
    [
      'a script',
      LOCK.replace('["jsqr@1.4.0", "", {', '["jsqr@1.4.0", "", { "hasInstallScript": true, '),
      'runs something when installed: jsqr@1.4.0',
    ],
    [
      'trust',
      LOCK.replace('"trustedDependencies": []', '"trustedDependencies": ["jsqr"]'),
      'is trusted: jsqr',
    ],
    [
      'the usual trust',
      LOCK.replace('"trustedDependencies": [],', ''),
      'the usual list of trusted packages holds',
    ],
  ])('control: %s is found', (_, changed, finding) => {
    expect(changed).not.toBe(LOCK)
    const found = findings(changed, PACKAGE)
    expect(found.some((one) => one.startsWith(finding))).toBe(true)
  })

  test.each([
    [
      'a range',
      { devDependencies: { ...PACKAGE.devDependencies, jsqr: '^1.4.0' } },
      'not exact: jsqr ^1.4.0',
    ],
    ['a tag', { devDependencies: { ...PACKAGE.devDependencies, jsqr: 'latest' } }, 'not exact: jsqr latest'],
    [
      'a repository',
      { dependencies: { ...PACKAGE.dependencies, x: 'github:who/x' } },
      'not exact: x github:who/x',
    ],
    ['a new one', { dependencies: { ...PACKAGE.dependencies, x: '1.0.0' } }, 'nobody says what for: x'],
    ['an override', { overrides: { jsqr: '1.4.1' } }, 'another way in: overrides'],
    ['a hook', { scripts: { postinstall: 'node x.js' } }, 'a script of ours: postinstall'],
  ])('control: %s in package.json is found', (_, change, finding) => {
    expect(findings(LOCK, { ...PACKAGE, ...change })).toContain(finding)
  })
})

describe('the reviewed list', () => {
  const lock: Lockfile = readLockfile(LOCK)
  const specs = (names: Record<string, string>): string[] => [
    ...new Set(reachable(lock, Object.keys(names)).map(({ spec }) => spec)),
  ]

  test('tells what runs from what only builds', () => {
    const running = specs(lock.dependencies)
    expect(Object.keys(RUNNING).sort()).toEqual(running.sort())
    const machines = FOR_MACHINES.flatMap(({ packages }) => packages)
    const building = specs(lock.devDependencies).filter((spec) => !running.includes(spec))
    expect([...Object.keys(BUILDING), ...machines].sort()).toEqual(building.sort())
  })

  test('has the licences that the packages themselves declare, none of them missing', () => {
    type Installed = { version: string; license?: string }
    const wrong = lock.packages.flatMap(({ key, spec, version }) => {
      const said = RUNNING[spec] ?? BUILDING[spec]
      if (said === undefined) return []
      const path = (key.match(/(?:@[^/]+\/)?[^/]+/g) ?? []).join('/node_modules/')
      const installed = JSON.parse(read(`node_modules/${path}/package.json`)) as Installed
      return installed.version === version && installed.license === said
        ? []
        : [`${spec}: ${installed.license}`]
    })
    expect(wrong).toEqual([])
  })

  test('what is never installed is not', () => {
    const names = NEVER_INSTALLED.map((spec) => spec.slice(0, spec.lastIndexOf('@')))
    expect(names.filter((name) => existsSync(join(ROOT, 'node_modules', name)))).toEqual([])
    for (const { tool } of FOR_MACHINES) expect(BUILDING[tool]).toBeString()
  })

  test('is installed without scripts, ranges and peers, and nothing younger than a week gets into the lockfile', () => {
    const { install } = Bun.TOML.parse(read('bunfig.toml')) as { install: Record<string, unknown> }
    expect(install).toMatchObject({ exact: true, peer: false, minimumReleaseAge: WEEK })
    const installs = Object.values(PACKAGE.scripts).filter((line) => line.includes('bun install'))
    expect(installs.length).toBeGreaterThan(0)
    for (const line of installs) expect(line).toStartWith('bun install --frozen-lockfile --ignore-scripts ')
  })
})

describe('the bill of materials', () => {
  type Component = {
    type: string
    'bom-ref': string
    name: string
    version: string
    group?: string
    purl: string
    hashes?: { alg: string; content: string }[]
    licenses: ({ license: { id?: string; name?: string } } | { expression: string })[]
  }
  type Bom = {
    bomFormat: string
    specVersion: string
    serialNumber: string
    version: number
    metadata: { component: Component }
    components: Component[]
    dependencies: { ref: string; dependsOn: string[] }[]
  }
  const bom = makeSbom(PACKAGE, readLockfile(LOCK)) as Bom

  test('has the form of CycloneDX 1.6', () => {
    expect(bom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 })
    expect(bom.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    for (const { type, name, version, purl, hashes, licenses, group } of bom.components) {
      expect(['library', 'platform']).toContain(type)
      const whole = group ? `%40${group.slice(1)}/${name}` : name
      expect(purl).toBe(`pkg:${type === 'library' ? 'npm' : 'generic'}/${whole}@${version}`)
      if (type === 'library')
        expect(hashes).toEqual([{ alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) }])
      expect(licenses).toHaveLength(1)
      expect(JSON.stringify(licenses)).not.toContain('not reviewed')
    }
  })

  test('has each package that runs once, and names nothing that it does not have', () => {
    const refs = [bom.metadata.component['bom-ref'], ...bom.components.map((one) => one['bom-ref'])]
    expect(new Set(refs).size).toBe(refs.length)
    expect(bom.components).toHaveLength(Object.keys(RUNNING).length + 1)
    expect(bom.dependencies.map(({ ref }) => ref).sort()).toEqual([...refs].sort())
    for (const { dependsOn } of bom.dependencies) for (const ref of dependsOn) expect(refs).toContain(ref)
    const direct = bom.dependencies.find(({ ref }) => ref === bom.metadata.component['bom-ref'])?.dependsOn
    expect(direct).toHaveLength(Object.keys(PACKAGE.dependencies).length + 1)
    expect(JSON.stringify(bom)).not.toContain('biome')
  })

  test('is the same for the same input, and another for another', () => {
    expect(sbomText(PACKAGE, LOCK)).toBe(sbomText(PACKAGE, LOCK))
    const other = makeSbom({ ...PACKAGE, version: '9.9.9' }, readLockfile(LOCK)) as Bom
    expect(other.serialNumber).not.toBe(bom.serialNumber)
  })
})
