import { describe, expect, test } from 'bun:test'
import { createAdmission } from '../../src/webhooks/admission'

const LIMITS = { fresh: 4, total: 10, perEndpoint: 3 }
const admission = () => createAdmission(LIMITS)

describe('admission', () => {
  test('gives an unknown endpoint one place, one that has answered several, one that failed one again', () => {
    const door = admission()
    const first = door.enter('a')
    expect(door.admits('a', false)).toBe(false)
    first.leave(true)
    const places = [door.enter('a'), door.enter('a')]
    expect(door.admits('a', false)).toBe(true)
    places.push(door.enter('a'))
    expect(door.admits('a', false)).toBe(false)
    places[0]?.leave(false)
    expect(door.admits('a', false)).toBe(false)
    places[1]?.leave(false)
    places[2]?.leave(false)
    expect(door.admits('a', false)).toBe(true)
  })

  test('a slow attempt gives its fresh place back and keeps its endpoint from a second one', () => {
    const door = admission()
    door.enter('a').leave(true)
    const slow = door.enter('a')
    for (const id of ['b', 'c', 'd']) door.enter(id)
    expect(door.free()).toBe(0)
    expect(door.admits('e', false)).toBe(false)
    slow.slow()
    expect(door.free()).toBe(1)
    expect(door.admits('e', false)).toBe(true)
    expect(door.admits('a', false)).toBe(false)
    slow.leave(true)
    expect(door.admits('a', false)).toBe(true)
  })

  test('a place is passed on as long as no attempt of its endpoint is slow', () => {
    const door = admission()
    const first = door.enter('a')
    expect(first.passOn()).toBe(true)
    // It has answered, and so may have more.
    const second = door.enter('a')
    expect(door.free()).toBe(2)
    second.slow()
    expect([first.passOn(), second.passOn()]).toEqual([false, false])
    second.leave(true)
    expect(first.passOn()).toBe(true)
    first.leave(true)
    expect([first.passOn(), door.free()]).toEqual([false, 4])
  })

  test('keeps the last places of the total for endpoints that do not fail', () => {
    const door = admission()
    door.enter('dead').leave(false)
    for (let n = 0; n < LIMITS.total - LIMITS.fresh; n += 1) door.enter(`slow-${n}`).slow()
    expect(door.tight()).toBe(true)
    expect(door.admits('dead', true)).toBe(false)
    expect(door.admits('unknown', true)).toBe(false)
    expect(door.admits('unknown', false)).toBe(true)
    for (let n = 0; n < LIMITS.fresh; n += 1) door.enter(`more-${n}`)
    expect(door.admits('unknown', false)).toBe(false)
    expect(door.free()).toBe(0)
  })

  test('counts a place once, however often it is left', () => {
    const door = admission()
    const place = door.enter('a')
    place.leave(true)
    place.leave(true)
    place.slow()
    expect(door.free()).toBe(LIMITS.fresh)
    expect(door.tight()).toBe(false)
  })
})
