/** Room under a limit, taken before it is used, so that requests at the same time cannot pass the limit together. */
export interface Room {
  /**
   * Runs `work` while it counts as one more for this key. `refuse` throws when there is no room beside so many that are under
   * way; it is asked before anything is awaited.
   */
  take<T>(key: string, refuse: (underWay: number) => void, work: () => Promise<T>): Promise<T>
}

export function createRoom(): Room {
  const taken = new Map<string, number>()
  return {
    async take(key, refuse, work) {
      const underWay = taken.get(key) ?? 0
      refuse(underWay)
      taken.set(key, underWay + 1)
      try {
        return await work()
      } finally {
        const left = (taken.get(key) ?? 1) - 1
        if (left === 0) taken.delete(key)
        else taken.set(key, left)
      }
    },
  }
}
