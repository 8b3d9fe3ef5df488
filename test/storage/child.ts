/**
 * A process of its own on a data directory: `open <file>` says how opening ended; `write <file>` writes until it is
 * killed and prints a line for each thing that was promised to be on disk; `fill <file>` writes until the disk refuses,
 * and tries on until it takes writes again.
 */
import { AppError } from '../../src/domain/errors'
import { asMessageId } from '../../src/domain/ids'
import { systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { openStorage } from '../../src/storage/open'
import { StorageRefused } from '../../src/storage/refused'
import { created, MASTER, makeMessage, received, SESSION } from './rig'

const [, , command, file = ''] = process.argv

function open() {
  return openStorage({ file, masterKey: MASTER, clock: systemClock, sync: 'full', log: silentLog })
}

if (command === 'open') {
  try {
    await open().close()
    console.log('opened')
  } catch (error) {
    console.log(error instanceof StorageRefused ? error.reason : String(error))
  }
}

/** Counters and messages at once, as a socket does: key writes, stanza, message, each awaited before it is told. */
async function write(): Promise<void> {
  const storage = open()
  if (!storage.sessions.get(SESSION)) await storage.ledger.commit([created()])
  const vault = storage.vaults.open(SESSION)
  const bytes = (n: number) => new Uint8Array(Buffer.from(String(n)))
  const start = Number(Buffer.from(vault.get('counter', ['a']).get('a') ?? []).toString() || '0')
  for (let n = start + 1; ; n += 1) {
    const inboxId = await vault.receive(bytes(n))
    await Promise.all([
      vault.commit([
        { type: 'counter', id: 'a', value: bytes(n) },
        { type: 'counter', id: 'b', value: bytes(n) },
      ]),
      storage.ledger.commit([received(makeMessage(`M${n}`, { id: asMessageId(`M${n}`) }), { inboxId })]),
    ])
    process.stdout.write(`${n}\n`)
  }
}
if (command === 'write') await write()

/** Tells each change between a disk that takes writes and one that does not. */
async function fill(): Promise<void> {
  const storage = open()
  const vault = storage.vaults.open(SESSION)
  const value = crypto.getRandomValues(new Uint8Array(20_000))
  let refused = false
  for (let n = 0; ; n += 1) {
    try {
      await vault.commit([
        { type: 'a', id: String(n), value },
        { type: 'b', id: String(n), value },
      ])
      if (!refused) continue
      const same = vault.ids('a').join() === vault.ids('b').join()
      console.log(`taken again, healthy ${storage.healthy()}, pairs whole ${same}`)
      await storage.close()
      return
    } catch (error) {
      if (!refused)
        console.log(`${error instanceof AppError ? error.code : error}, healthy ${storage.healthy()}`)
      refused = true
      await Bun.sleep(5)
    }
  }
}
if (command === 'fill') await fill()
