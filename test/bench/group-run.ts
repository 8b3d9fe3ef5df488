/** Does a group stay as cheap as it was? Sends to one group, early ones beside late ones. */
import { cpuOf } from '../harness/measure'
import { type Gateway, pairAll } from '../harness/world'
import type { Row } from './report'
import { type BenchWorld, both, bothOf, endBoth, freshNumbers } from './runs'

const SENDS = 3_000
/** Stock Baileys keeps a key for every message it sends to a group and writes all of them each time: it is stopped early. */
const RAW_SENDS = 800
/** Sends at either end that are compared. */
const WINDOW = 300
/** The first ones pay for keys and compilers, and are left out. */
const WARM = 100
const MEMBERS = 4

/** The same session sends to the same group again and again; its sender key is used all along. */
export async function measureGroup(world: BenchWorld): Promise<Row[]> {
  const { sandbox, options } = world
  const pair = both(world)
  const early = { wabun: Number.NaN, raw: Number.NaN }
  const late = { wabun: Number.NaN, raw: Number.NaN }

  /** CPU of the gateway alone per message (ms): whoever else shares the machine does not count. */
  async function send(
    gateway: Gateway,
    id: string,
    group: string,
    from: number,
    to: number,
  ): Promise<number> {
    const before = cpuOf(gateway.child.pid)
    for (let n = from; n < to; n++) await gateway.send(id, group, `to all ${n}`)
    return ((cpuOf(gateway.child.pid) - before) / (to - from)) * 1_000
  }

  await bothOf(pair, async (gateway) => {
    await gateway.start()
    const [own = ''] = freshNumbers(1)
    const members = freshNumbers(MEMBERS)
    for (const number of members) await sandbox.addPhone(number)
    const [id = ''] = await pairAll(gateway, sandbox, [own])
    const group = await sandbox.addGroup(own, `Group of ${gateway.name}`, members)
    const sends = gateway.name === 'wabun' ? SENDS : RAW_SENDS
    await send(gateway, id, group, 0, WARM)
    early[gateway.name] = await send(gateway, id, group, WARM, WARM + WINDOW)
    await send(gateway, id, group, WARM + WINDOW, sends - WINDOW)
    late[gateway.name] = await send(gateway, id, group, sends - WINDOW, sends)
    options.say(`${gateway.name}: ${sends} sent to the group`)
  })
  await endBoth(pair)
  const growth = (name: 'wabun' | 'raw') => [late[name] / early[name]]
  const none = { goal: '', meets: null }
  return [
    {
      name: `CPU per group send, after ${WARM}`,
      unit: 'ms',
      wabun: [early.wabun],
      raw: [early.raw],
      ...none,
    },
    {
      name: `CPU per group send, the last of ${SENDS} (raw: of ${RAW_SENDS})`,
      unit: 'ms',
      wabun: [late.wabun],
      raw: [late.raw],
      ...none,
    },
    {
      name: '… late by early',
      unit: '×',
      wabun: growth('wabun'),
      raw: growth('raw'),
      goal: '≤ 1.2',
      meets: (wabun) => wabun <= 1.2,
    },
  ]
}
