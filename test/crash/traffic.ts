/** What is said while the service dies: texts, groups, pictures, polls, and messages that act on earlier ones. */
import type { Order } from '../harness/sandbox-process'
import type { Deed, Said } from './history'

export type Traffic = {
  /** The next `count` orders; `noted` must be called with their ids before the next are asked for. */
  orders(count: number): Order[]
  noted(orders: readonly Order[], ids: readonly string[]): void
  /** Since the last `clear`. */
  readonly said: readonly Said[]
  readonly deeds: readonly Deed[]
  clear(): void
}

/** A white pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg=='

/** One in so many orders is something else than a text. */
const EVERY = { image: 23, poll: 11, deed: 5 }
const EMOJI = ['👍', '🎉', '😀']

type Target = { id: string; isPoll: boolean }

/** Endless traffic of some phones towards `us` and a group. */
export function createTraffic(parts: {
  us: string
  group: string
  peers: readonly string[]
  /** Those of the peers who are in the group. */
  members: readonly string[]
  random: () => number
}): Traffic {
  const { us, group, peers, members, random } = parts
  /** By author and place: what can still be acted on, each once. */
  const targets = new Map<string, Target[]>()
  let said: Said[] = []
  let deeds: Deed[] = []
  let number = 0
  const placeOf = ({ from, to }: Pick<Order, 'from' | 'to'>) => `${from} ${to}`
  const pending = new Map<Order, Deed>()

  function deedOn({ id, isPoll }: Target, where: { from: string; to: string }): Order {
    const pick = Math.floor(random() * EMOJI.length)
    const emoji = EMOJI[pick] ?? ''
    const words = `changed ${number}`
    const [content, look]: [Extract<Order, { content: unknown }>['content'], string] = isPoll
      ? [{ type: 'vote', targetMessageId: id, options: ['yes'] }, 'yes by 1']
      : pick === 0
        ? [{ type: 'edit', targetMessageId: id, text: words }, words]
        : [{ type: 'reaction', targetMessageId: id, emoji }, emoji]
    const order = { ...where, content }
    pending.set(order, { targetId: id, look })
    return order
  }

  function next(): Order {
    number += 1
    const from = peers[number % peers.length] ?? ''
    const where = { from, to: number % 3 === 0 && members.includes(from) ? group : us }
    if (number % EVERY.deed === 0) {
      const target = targets.get(placeOf(where))?.shift()
      if (target) return deedOn(target, where)
    }
    if (number % EVERY.image === 0) {
      return {
        ...where,
        content: { type: 'image', base64: PIXEL, mimetype: 'image/png', caption: `${number}` },
      }
    }
    if (number % EVERY.poll === 0)
      return { ...where, content: { type: 'poll', question: `${number}?`, options: ['yes', 'no'] } }
    return { ...where, text: `message ${number}` }
  }

  return {
    orders: (count) => Array.from({ length: count }, next),
    noted(orders, ids) {
      for (const [at, order] of orders.entries()) {
        const id = ids[at] ?? ''
        const deed = pending.get(order)
        // People in a group do not wait for one another, and a picture is uploaded before it is said.
        const isFile = 'content' in order && order.content.type === 'image'
        said.push({ id, line: isFile ? null : placeOf(order), isDeed: deed !== undefined })
        if (deed) deeds.push(deed)
        pending.delete(order)
        const isPoll = 'content' in order && order.content.type === 'poll'
        if (!isPoll && 'content' in order) continue
        targets.set(placeOf(order), [...(targets.get(placeOf(order)) ?? []), { id, isPoll }].slice(-50))
      }
    },
    get said() {
      return said
    },
    get deeds() {
      return deeds
    },
    clear() {
      said = []
      deeds = []
      // What is acted on must be in the same batch, for the judge looks no farther back.
      targets.clear()
    },
  }
}
