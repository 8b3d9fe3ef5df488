/** The commands: what each is for, and which flags it takes beside those of the configuration. */
import {
  CONFIG_KEYS,
  ConfigError,
  flagOf,
  isSecret,
  loadConfig,
  PREFIX,
  schemaOf,
  variableOf,
} from '../config'
import { nearest } from '../config/nearest'
import { parseArguments } from './arguments'
import { raiseRequestLimit } from './request-limit'
import { USER_FLAGS, USER_VERBS } from './user-words'

export type CommandInput = {
  env: Record<string, string | undefined>
  flags: Record<string, string | true>
  /** The word after the command, of a command that has such. */
  verb?: string
}
export type Command = {
  says: string
  /** Flags of its own: name → sentence. */
  flags?: Record<string, string>
  /** Words one of which follows: name → sentence. */
  verbs?: Record<string, string>
  run(input: CommandInput): Promise<number>
}

/** Commands in the order in which help lists them. Each loads its own code when it runs. */
export const COMMANDS: Record<string, Command> = {
  serve: {
    says: 'run the server (default)',
    async run(input) {
      const config = loadConfig(input)
      raiseRequestLimit(input.env)
      const seen = CONFIG_KEYS.filter((key) => isSecret(key) && Object.hasOwn(input.flags, flagOf(key)))
      return (await import('./serve')).serve(config, seen.map(variableOf))
    },
  },
  sandbox: {
    says: 'run only the simulated WhatsApp, with its control API',
    flags: {
      '--ca-file': 'where the media host’s authority is written [DATA_DIR/sandbox-ca.pem]',
      '--whatsapp-port': 'port that servers connect to [a free one]',
      '--media-port': 'port of the media host [a free one]',
    },
    async run({
      env,
      flags: { '--ca-file': caFile, '--whatsapp-port': port, '--media-port': mediaPort, ...flags },
    }) {
      const config = loadConfig({ env, flags })
      const { runSandbox } = await import('./sandbox')
      return runSandbox(config, {
        caFile: typeof caFile === 'string' ? caFile : null,
        port: portOf('--whatsapp-port', port),
        mediaPort: portOf('--media-port', mediaPort),
      })
    },
  },
  demo: {
    says: 'show the whole round trip with a sandbox phone, then stay up to be tried',
    flags: { '--once': 'end after the round trip' },
    async run({ flags: { '--once': once, ...flags } }) {
      refuseFlags(flags, 'demo')
      return (await import('../demo')).demo({ once: once !== undefined && once !== 'false' })
    },
  },
  'check-config': {
    says: 'explain every setting, where its value comes from, and what is wrong with it',
    async run(input) {
      return (await import('./check-config')).checkConfig(input)
    },
  },
  key: {
    says: 'the master key',
    verbs: {
      rotate:
        'change it, with the server running or not: to MASTER_KEY_NEXT (never a flag: others can see those), or to one made here',
    },
    async run(input) {
      return (await import('./key')).rotateKey(loadConfig(input))
    },
  },
  audit: {
    says: 'the audit log',
    verbs: { verify: 'prove, with the server stopped, that nothing of it was changed' },
    flags: { '--known': 'a head that an earlier run has told, kept elsewhere' },
    async run({ env, flags: { '--known': known, ...flags } }) {
      const config = loadConfig({ env, flags })
      return (await import('./audit')).verifyAuditLog(config, known === undefined ? null : String(known))
    },
  },
  user: {
    says: 'the accounts, with the server stopped',
    verbs: USER_VERBS,
    flags: USER_FLAGS,
    async run({ env, verb = 'list', flags }) {
      const own = Object.keys(USER_FLAGS)
      const mine = Object.entries(flags).filter(([name]) => own.includes(name))
      const others = Object.entries(flags).filter(([name]) => !own.includes(name))
      const config = loadConfig({ env, flags: Object.fromEntries(others) })
      return (await import('./user')).userCommand(config, verb, Object.fromEntries(mine))
    },
  },
  openapi: {
    says: 'print the OpenAPI document',
    async run({ flags }) {
      refuseFlags(flags, 'openapi')
      return (await import('./openapi')).printOpenApi()
    },
  },
  sbom: {
    says: 'print what this program consists of (CycloneDX 1.6)',
    async run({ flags }) {
      refuseFlags(flags, 'sbom')
      return (await import('./sbom')).printSbom()
    },
  },
  version: {
    says: 'print the version',
    async run({ flags }) {
      refuseFlags(flags, 'version')
      process.stdout.write(`${(await import('../../package.json')).version}\n`)
      return 0
    },
  },
  help: {
    says: 'print this',
    async run() {
      process.stdout.write(helpText())
      return 0
    },
  },
}

/** Exit code of a command line that cannot be understood. */
export const EX_USAGE = 2

/** Runs the command that the words name; resolves with the exit code. */
export async function runCommandLine(
  words: readonly string[],
  env: Record<string, string | undefined>,
): Promise<number> {
  if (words.includes('--help') || words.includes('-h'))
    return (await COMMANDS.help?.run({ env, flags: {} })) ?? 0
  if (words[0] === '--version' || words[0] === '-v')
    return (await COMMANDS.version?.run({ env, flags: {} })) ?? 0
  const { command = null, flags, rest } = parseArguments(words, SWITCHES)
  const name = command ?? 'serve'
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!found) return misused(`There is no command "${name}"`, nearest(name, Object.keys(COMMANDS)))
  const verbs = Object.keys(found.verbs ?? {})
  const [verb, ...more] = verbs.length > 0 ? rest : [undefined, ...rest]
  if (verbs.length > 0 && (verb === undefined || !verbs.includes(verb)))
    return misused(
      `"${name}" needs one of these words: ${verbs.join(', ')}`,
      verb ? nearest(verb, verbs) : null,
    )
  if (more.length > 0) return misused(`"${name}" takes no further words: ${more.join(' ')}`, null)
  try {
    return await found.run({ env, flags, ...(verb === undefined ? {} : { verb }) })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const { problems } = error
    process.stderr.write('The configuration cannot be used:\n')
    for (const { name: where, says } of problems) process.stderr.write(`  ${where}: ${says}\n`)
    process.stderr.write('Run "wabun check-config" for every setting.\n')
    return EX_USAGE
  }
}

function misused(says: string, near: string | null): number {
  process.stderr.write(
    `${says}${near ? `; did you mean "${near}"?` : ''}\nRun "wabun help" for all commands.\n`,
  )
  return EX_USAGE
}

function refuseFlags(flags: Record<string, string | true>, command: string): void {
  const names = Object.keys(flags)
  if (names.length === 0) return
  throw new ConfigError(names.map((name) => ({ name, says: `"${command}" has no such flag` })))
}

function portOf(name: string, text: string | true | undefined): number {
  const port = text === undefined ? 0 : Number(text === true ? Number.NaN : text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new ConfigError([{ name, says: 'Use a whole number from 0 to 65535' }])
}

/** Flags that stand alone. */
const SWITCHES: ReadonlySet<string> = new Set([
  '--once',
  '--password-stdin',
  ...CONFIG_KEYS.filter((key) => schemaOf(key).type === 'boolean').map(flagOf),
])

function helpText(): string {
  const commands = Object.entries(COMMANDS).map(([name, { says, flags = {}, verbs = {} }]) =>
    [
      `  ${name.padEnd(14)} ${says}`,
      ...Object.entries(verbs).map(([verb, meaning]) => `  ${''.padEnd(14)}   ${verb.padEnd(12)} ${meaning}`),
      ...Object.entries(flags).map(([flag, meaning]) => `  ${''.padEnd(14)}   ${flag.padEnd(12)} ${meaning}`),
    ].join('\n'),
  )
  const settings = CONFIG_KEYS.map((key) => {
    const { description = '', default: standard } = schemaOf(key)
    const shown =
      standard === null || (Array.isArray(standard) && standard.length === 0) ? '' : ` [${standard}]`
    return `  ${flagOf(key).padEnd(26)} ${variableOf(key).padEnd(24)} ${description}${shown}`
  })
  return [
    'wabun: a self-hosted WhatsApp session server',
    '',
    'Usage: wabun [command] [flags]',
    '',
    'Commands:',
    ...commands,
    '',
    `Settings, as flag or environment variable (each variable also with the prefix ${PREFIX}; a flag wins):`,
    ...settings,
    '',
  ].join('\n')
}
