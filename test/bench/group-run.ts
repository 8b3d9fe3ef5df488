/** Does a group stay as cheap as it was? Sends to one group, early ones beside late ones. */
import { percentile } from '../harness/measure'
import { pairAll } from '../harness/world'
import type { Row } from './report'
import { type BenchWorld, both, bothOf, endBoth, freshNumbers } from './runs'

const SENDS = 3_000
/** Stock Baileys keeps a key for every message it sends to a group and writes all of them each time: it is stopped early. */
const RAW_SENDS = 600
/** Sends at either end that are compared; the first few pay for keys and are left out. */
const WINDOW = 100
const WARM = 10
const MEMBERS = 4

/** The same session sends to the same group again and again; its sender key is used all along. */
export async function measureGroup(world: BenchWorld): Promise<Row[]> {
  const { sandbox, options } = world
  const pair = both(world)
  const early = { wabun: [] as number[], raw: [] as number[] }
  const late = { wabun: [] as number[], raw: [] as number[] }
  await bothOf(pair, async (gateway) => {
    await gateway.start()
    const [own = ''] = freshNumbers(1)
    const members = freshNumbers(MEMBERS)
    for (const number of members) await sandbox.addPhone(number)
    const [id = ''] = await pairAll(gateway, sandbox, [own])
    const group = await sandbox.addGroup(own, `Group of ${gateway.name}`, members)
    const took: number[] = []
    const sends = gateway.name === 'wabun' ? SENDS : RAW_SENDS
    for (let n = 0; n < sends; n++) {
      const at = performance.now()
      await gateway.send(id, group, `to all ${n}`)
      took.push(performance.now() - at)
      if ((n + 1) % 1_000 === 0) options.say(`${gateway.name}: ${n + 1} of ${sends} sent to the group`)
    }
    early[gateway.name] = took.slice(WARM, WARM + WINDOW)
    late[gateway.name] = took.slice(-WINDOW)
  })
  await endBoth(pair)
  const p50 = (values: readonly number[]) => percentile(values, 0.5)
  const growth = (name: 'wabun' | 'raw') => [p50(late[name]) / p50(early[name])]
  return [
    {
      name: `group send p50, messages ${WARM} to ${WARM + WINDOW}`,
      unit: 'ms',
      wabun: [p50(early.wabun)],
      raw: [p50(early.raw)],
      goal: '',
      meets: null,
    },
    {
      name: `group send p50, last ${WINDOW} of ${SENDS} (raw: of ${RAW_SENDS})`,
      unit: 'ms',
      wabun: [p50(late.wabun)],
      raw: [p50(late.raw)],
      goal: '',
      meets: null,
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
