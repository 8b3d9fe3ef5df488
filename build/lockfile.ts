/** Reads `bun.lock`: what may be installed, and what of it the product itself needs. */

/** One package of the lockfile. */
export type Locked = {
  /** Where it is used: `a`, or `a/b` for a `b` that only `a` gets. */
  key: string
  name: string
  version: string
  /** `name@version`. */
  spec: string
  /** Empty = the usual registry. */
  registry: string
  /** `sha512-…`; empty = none. */
  integrity: string
  hasInstallScript: boolean
  needs: readonly string[]
  /** For one kind of machine only. */
  isForMachine: boolean
}

export type Lockfile = {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  trusted: readonly string[] | null
  packages: readonly Locked[]
  /** Entries that are no packages of a registry: git, a tarball's URL, a folder. */
  strange: readonly string[]
}

type Info = {
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  hasInstallScript?: boolean
  os?: string
  cpu?: string
}
type Raw = {
  workspaces: Record<
    string,
    { dependencies?: Record<string, string>; devDependencies?: Record<string, string> }
  >
  trustedDependencies?: string[]
  packages: Record<string, unknown[]>
}

const SPEC = /^((?:@[\w.~-]+\/)?[\w.~-]+)@(\d+\.\d+\.\d+(?:[-+][\w.+-]+)?)$/

/** Reads the text of the lockfile. */
export function readLockfile(text: string): Lockfile {
  const raw = Bun.JSONC.parse(text) as Raw
  const root = raw.workspaces[''] ?? {}
  const packages: Locked[] = []
  const strange: string[] = []
  for (const [key, entry] of Object.entries(raw.packages)) {
    const [spec, registry, info, integrity] = entry
    const parts = SPEC.exec(String(spec))
    const [, name = '', version = ''] = parts ?? []
    if (!parts || entry.length !== 4 || typeof registry !== 'string' || typeof integrity !== 'string') {
      strange.push(`${key}: ${String(spec)}`)
      continue
    }
    const { dependencies = {}, optionalDependencies = {}, hasInstallScript, os, cpu } = info as Info
    packages.push({
      key,
      name,
      version,
      spec: `${name}@${version}`,
      registry,
      integrity,
      hasInstallScript: hasInstallScript !== undefined && hasInstallScript !== false,
      needs: [...Object.keys(dependencies), ...Object.keys(optionalDependencies)],
      isForMachine: os !== undefined || cpu !== undefined,
    })
  }
  return {
    dependencies: root.dependencies ?? {},
    devDependencies: root.devDependencies ?? {},
    trusted: raw.trustedDependencies ?? null,
    packages,
    strange: [...strange, ...Object.keys(raw.workspaces).filter((path) => path !== '')],
  }
}

/** What `names` need, and what that needs in turn; peers are not installed (bunfig.toml). */
export function reachable({ packages }: Lockfile, names: readonly string[]): Locked[] {
  const byKey = new Map(packages.map((one) => [one.key, one]))
  const found = new Map<string, Locked>()
  const visit = (name: string, from: string): void => {
    const one = resolve(byKey, name, from)
    if (!one || found.has(one.key)) return
    found.set(one.key, one)
    for (const need of one.needs) visit(need, one.key)
  }
  for (const name of names) visit(name, '')
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** What one package needs itself. */
export const needsOf = ({ packages }: Lockfile, { needs, key }: Locked): Locked[] => {
  const byKey = new Map(packages.map((one) => [one.key, one]))
  return needs.flatMap((name) => resolve(byKey, name, key) ?? [])
}

/** As the module resolution does it: first the innermost folder, then those around it. */
function resolve(byKey: ReadonlyMap<string, Locked>, name: string, from: string): Locked | undefined {
  const path = from === '' ? [] : (from.match(/(?:@[^/]+\/)?[^/]+/g) ?? [])
  for (let depth = path.length; depth >= 0; depth--) {
    const one = byKey.get([...path.slice(0, depth), name].join('/'))
    if (one) return one
  }
  return undefined
}
