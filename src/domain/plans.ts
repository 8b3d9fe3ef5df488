/** What a plan allows, and how an operator words that: `sessions=3,messages=10,queue=unlimited`. */
import { PLANS, type Plan } from './principal'

/** Everything that a plan limits; the sentences are for the operator. */
export const PLAN_LIMITS = {
  sessions: 'sessions of an account',
  messages: 'messages a session sends in a minute; what is more waits in its queue',
  pairings: 'pairings that an account begins in a minute',
  requests: 'other requests of an account in a minute',
  queue: 'messages that may wait in the queue of a session',
  webhooks: 'webhook endpoints of an account',
  media: 'megabytes that the files of an account take',
  keys: 'API keys of an account',
  streams: 'streams of events that an account has open',
} as const satisfies Record<string, string>
export type PlanLimit = keyof typeof PLAN_LIMITS

/** Null = unlimited. */
export type PlanLimits = { readonly [L in PlanLimit]: number | null }
export type Plans = { readonly [P in Plan]: PlanLimits }

/** An account's plan with what it allows. */
export type Allowance = { plan: Plan; limits: PlanLimits }

/** Sessions, messages, pairings and requests as contract §1 has them; `queue` of enterprise is what one process can carry. */
export const DEFAULT_PLANS: Plans = {
  free: {
    sessions: 3,
    messages: 10,
    pairings: 3,
    requests: 100,
    queue: 1_000,
    webhooks: 10,
    media: 1_000,
    keys: 10,
    streams: 20,
  },
  pro: {
    sessions: 10,
    messages: 10,
    pairings: 3,
    requests: 100,
    queue: 1_000,
    webhooks: 50,
    media: 10_000,
    keys: 50,
    streams: 100,
  },
  enterprise: {
    sessions: null,
    messages: null,
    pairings: null,
    requests: null,
    queue: 10_000,
    webhooks: null,
    media: null,
    keys: null,
    streams: null,
  },
}

export const UNLIMITED: Allowance = {
  plan: 'enterprise',
  limits: { ...DEFAULT_PLANS.enterprise, queue: null },
}

/** Fewer would stop what the plan is for: nothing would ever leave, and no request would be answered. */
const LEAST: Partial<Record<PlanLimit, number>> = { messages: 1, requests: 1, queue: 1 }
const MOST = 1_000_000_000

const isLimit = (name: string): name is PlanLimit => Object.hasOwn(PLAN_LIMITS, name)

/** `3` → 3, `unlimited` → null; undefined when it is neither. */
function amountOf(limit: PlanLimit, text: string): number | null | undefined {
  if (text === 'unlimited') return null
  const amount = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  return amount >= (LEAST[limit] ?? 0) && amount <= MOST ? amount : undefined
}

/** Reads `name=amount` entries; what they do not name stays as it is in `base`. `problems` are sentences. */
export function readPlan(
  entries: readonly string[],
  base: PlanLimits,
): { limits: PlanLimits; problems: string[] } {
  const limits: { -readonly [L in PlanLimit]: PlanLimits[L] } = { ...base }
  const problems: string[] = []
  for (const entry of entries) {
    const [name = '', text = '', more] = entry.split('=').map((part) => part.trim().toLowerCase())
    const amount = isLimit(name) && more === undefined ? amountOf(name, text) : undefined
    if (isLimit(name) && amount !== undefined) limits[name] = amount
    else
      problems.push(
        isLimit(name)
          ? `"${entry}": use a whole number from ${LEAST[name] ?? 0} on, or unlimited`
          : `"${entry}" is not one of ${Object.keys(PLAN_LIMITS).join(', ')} with a number, as sessions=3`,
      )
  }
  return { limits, problems }
}

/** The plans as an operator has changed them. */
export function plansOf(changes: Readonly<Record<Plan, readonly string[]>>): Plans {
  const [free, pro, enterprise] = PLANS.map(
    (plan) => readPlan(changes[plan], DEFAULT_PLANS[plan]).limits,
  ) as [PlanLimits, PlanLimits, PlanLimits]
  return { free, pro, enterprise }
}

/** `sessions=3, messages=10, …`, for descriptions. */
export const planText = (limits: PlanLimits): string =>
  (Object.keys(PLAN_LIMITS) as PlanLimit[]).map((name) => `${name}=${limits[name] ?? 'unlimited'}`).join(',')
