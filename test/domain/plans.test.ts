/** Plans: as the contract has them, and as an operator changes them. */
import { describe, expect, test } from 'bun:test'
import { readConfig } from '../../src/config'
import { DEFAULT_PLANS, plansOf, planText, readPlan } from '../../src/domain/plans'

describe('defaults', () => {
  test('contract §1: free 3 sessions, pro 10, enterprise unlimited; 10 messages, 3 pairings, 100 requests a minute', () => {
    const { free, pro, enterprise } = DEFAULT_PLANS
    expect([free.sessions, pro.sessions, enterprise.sessions]).toEqual([3, 10, null])
    for (const plan of [free, pro]) {
      expect(plan).toMatchObject({ messages: 10, pairings: 3, requests: 100 })
    }
    expect(enterprise).toMatchObject({ messages: null, pairings: null, requests: null, media: null })
  })

  test('nothing given changes nothing', () => {
    const { planFree, planPro, planEnterprise } = readConfig({ env: {} }).config
    expect(plansOf({ free: planFree, pro: planPro, enterprise: planEnterprise })).toEqual(DEFAULT_PLANS)
  })
})

describe('as an operator words them', () => {
  test('what is named changes, the rest stays; unlimited is a number too', () => {
    const { config, problems } = readConfig({
      env: { PLAN_FREE: 'sessions=5, Messages = unlimited', PLAN_ENTERPRISE: 'sessions=2' },
    })
    expect(problems).toEqual([])
    const plans = plansOf({
      free: config.planFree,
      pro: config.planPro,
      enterprise: config.planEnterprise,
    })
    expect(plans.free).toEqual({ ...DEFAULT_PLANS.free, sessions: 5, messages: null })
    expect(plans.pro).toEqual(DEFAULT_PLANS.pro)
    expect(plans.enterprise.sessions).toBe(2)
  })

  test('the text of a plan reads back as the plan', () => {
    for (const plan of Object.values(DEFAULT_PLANS)) {
      expect(readPlan(planText(plan).split(','), DEFAULT_PLANS.free)).toEqual({ limits: plan, problems: [] })
    }
  })

  test.each([
    'sessons=3',
    'sessions',
    'sessions=',
    'sessions=-1',
    'sessions=1.5',
    'sessions=0x10',
    'sessions=3=4',
    'messages=0',
    'requests=0',
    'queue=0',
    'media=99999999999',
    'toString=1',
  ])('%s is refused at the start', (entry) => {
    const { problems } = readConfig({ env: { PLAN_PRO: entry } })
    expect(problems.map(({ name }) => name)).toEqual(['PLAN_PRO'])
    expect(problems[0]?.says).toContain(`"${entry}"`)
  })
})
