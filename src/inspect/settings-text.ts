import type { ConfigProperties } from '../storage/log-config.ts'

/** The line that says by which settings a command goes, and which of them nobody gave. */
export function settingsText(settings: ConfigProperties, given: ConfigProperties): string {
  const texts = Object.entries(settings).map(([name, value]) =>
    given[name] === undefined ? `${name}=${value} (not given)` : `${name}=${value}`,
  )
  return `Settings: ${texts.join(', ')}`
}
