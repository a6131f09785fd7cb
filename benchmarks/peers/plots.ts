import { distancesOf } from './distances.ts'
import { LATENCY_SHARES, type Results } from './results.ts'
import { compareAll } from './rows.ts'
import { median, threeDigits } from './statistics.ts'

const WIDTH = 860
const ROW_HEIGHT = 26
const BAR_HEIGHT = 14
const TOP = 58
const LABELS = 190
const RIGHT = 84

/** Readable on light and on dark pages, as the reader's system has it. */
const STYLE = `
    text { font: 12px system-ui, sans-serif; fill: #1f2328 }
    .title { font-size: 15px; font-weight: 600 }
    .quiet { fill: #59636e }
    .grid { stroke: #d1d9e0; stroke-width: 1 }
    .mark { stroke: #1f2328; stroke-width: 1.5 }
    .ours { fill: #2a6fc9 } .theirs { fill: #aab4bf } .short { fill: #c2571a }
    .line-ours { stroke: #2a6fc9; stroke-width: 2.5; fill: none } .line-theirs { stroke: #c2571a; stroke-width: 2.5; fill: none }
    .dot-ours { fill: #2a6fc9 } .dot-theirs { fill: #c2571a }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .quiet { fill: #9198a1 } .grid { stroke: #3d444d } .mark { stroke: #e6edf3 }
      .ours { fill: #5b9bf0 } .theirs { fill: #59636e } .short { fill: #ef8a4c }
      .line-ours { stroke: #5b9bf0 } .line-theirs { stroke: #ef8a4c } .dot-ours { fill: #5b9bf0 } .dot-theirs { fill: #ef8a4c }
    }
  `

function escape(text: string): string {
  return text
    .replaceAll('`', '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function text(
  x: number,
  y: number,
  content: string,
  options: { readonly anchor?: 'start' | 'middle' | 'end'; readonly class?: string } = {},
): string {
  const { anchor = 'start', class: name } = options
  const attribute = name === undefined ? '' : ` class="${name}"`
  return `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}"${attribute}>${escape(content)}</text>`
}

function line(x1: number, y1: number, x2: number, y2: number, name: string): string {
  return `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" class="${name}"/>`
}

function bar(x: number, y: number, width: number, name: string): string {
  return `<rect x="${px(x)}" y="${px(y)}" width="${px(Math.max(1, width))}" height="${BAR_HEIGHT}" rx="2" class="${name}"/>`
}

function svg(title: string, height: number, elements: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">`,
    `  <style>${STYLE}</style>`,
    ...[text(16, 24, title, { class: 'title' }), ...elements].map((element) => `  ${element}`),
    '</svg>',
    '',
  ].join('\n')
}

/** Powers of two below which and above which a bar is cut off. */
const LOWEST_POWER = -3
const HIGHEST_POWER = 4

/** How far each row passes or misses its target: bars from the target to the right or to the left. */
export function plotTargets(results: Results): string {
  const rows = compareAll(results).filter(({ toTarget }) => toTarget !== undefined)
  const height = TOP + rows.length * ROW_HEIGHT + 40
  const bottom = height - 34
  const left = LABELS + 64
  const step = (WIDTH - RIGHT - left) / (HIGHEST_POWER - LOWEST_POWER)
  const at = (ratio: number): number =>
    left + (Math.min(HIGHEST_POWER, Math.max(LOWEST_POWER, Math.log2(ratio))) - LOWEST_POWER) * step
  const elements: string[] = []
  for (let power = LOWEST_POWER; power <= HIGHEST_POWER; power++) {
    const x = left + (power - LOWEST_POWER) * step
    elements.push(line(x, TOP - 8, x, bottom, power === 0 ? 'mark' : 'grid'))
    const label = power < 0 ? `1/${2 ** -power}` : String(2 ** power)
    elements.push(text(x, bottom + 16, label, { anchor: 'middle', class: 'quiet' }))
  }
  elements.push(text(at(1), TOP - 14, 'target', { anchor: 'middle', class: 'quiet' }))
  rows.forEach(({ row, toTarget = Number.NaN }, index) => {
    const y = TOP + index * ROW_HEIGHT
    const isShort = toTarget < 1
    const x = at(toTarget)
    elements.push(text(LABELS, y + 11, row.id, { anchor: 'end' }))
    const from = Math.min(x, at(1))
    elements.push(bar(from, y, Math.abs(x - at(1)), isShort ? 'short' : 'ours'))
    const label = `${threeDigits(toTarget)} ×`
    elements.push(
      isShort
        ? text(x - 6, y + 11, label, { anchor: 'end' })
        : text(Math.max(x, at(1)) + 6, y + 11, label),
    )
  })
  return svg('What was reached, as a multiple of the target', height, elements)
}

/** The rate of each path over that of the machine doing the same in C. */
export function plotDistances(results: Results): string {
  const all = distancesOf(results)
  const pitch = 44
  const height = TOP + all.length * pitch + 16
  const left = 190
  const most = Math.max(1, ...all.flatMap(({ rate, limitRate }) => [rate, limitRate]))
  const scale = (WIDTH - left - 250) / most
  const elements = all.flatMap(({ what, limit, rate, limitRate }, index) => {
    const y = TOP + index * pitch
    const share = `${Math.round((rate / limitRate) * 100)} %`
    return [
      text(left - 10, y + 18, what, { anchor: 'end' }),
      bar(left, y, rate * scale, 'ours'),
      text(left + rate * scale + 6, y + 11, `${threeDigits(rate)} MiB/s, ${share}`),
      bar(left, y + BAR_HEIGHT + 2, limitRate * scale, 'theirs'),
      text(
        left + limitRate * scale + 6,
        y + BAR_HEIGHT + 13,
        `${threeDigits(limitRate)} ${limit}`,
        {
          class: 'quiet',
        },
      ),
    ]
  })
  return svg('Each path beside what the machine allows', height, elements)
}

/** How long single appends take, slowest to the right; undefined where that was not measured. */
export function plotLatency(results: Results): string | undefined {
  const group = results.groups['append']?.cases
  const curves = (['kafkats', 'kafka'] as const).map((name) => {
    const samples = group?.[name]?.samples ?? []
    return LATENCY_SHARES.map((_, index) =>
      median(samples.flatMap(({ latencyMs }) => latencyMs?.[index] ?? [])),
    )
  })
  const values = curves.flat()
  if (values.some((value) => !Number.isFinite(value) || value <= 0)) return undefined
  const height = 360
  const left = 76
  const bottom = height - 52
  const low = Math.floor(Math.log10(Math.min(...values)))
  const high = Math.ceil(Math.log10(Math.max(...values)))
  const y = (ms: number): number =>
    bottom - ((Math.log10(ms) - low) / (high - low)) * (bottom - TOP)
  const step = (WIDTH - left - 120) / (LATENCY_SHARES.length - 1)
  const elements: string[] = []
  for (let power = low; power <= high; power++) {
    elements.push(line(left, y(10 ** power), WIDTH - 100, y(10 ** power), 'grid'))
    const label = `${power < 0 ? (10 ** power).toFixed(-power) : 10 ** power} ms`
    elements.push(text(left - 8, y(10 ** power) + 4, label, { anchor: 'end', class: 'quiet' }))
  }
  LATENCY_SHARES.forEach((share, index) => {
    const label = share === 1 ? 'all' : `${Number((share * 100).toFixed(2))} %`
    const x = left + 10 + index * step
    elements.push(text(x, bottom + 20, label, { anchor: 'middle', class: 'quiet' }))
  })
  elements.push(
    text((left + WIDTH - 100) / 2, bottom + 40, 'so many appends took no longer', {
      anchor: 'middle',
      class: 'quiet',
    }),
  )
  curves.forEach((curve, index) => {
    const name = index === 0 ? 'ours' : 'theirs'
    const points = curve.map((ms, at) => [left + 10 + at * step, y(ms)] as const)
    const path = points.map(([px1, py]) => `${px(px1)},${px(py)}`).join(' ')
    elements.push(`<polyline points="${path}" class="line-${name}"/>`)
    for (const [cx, cy] of points) {
      elements.push(`<circle cx="${px(cx)}" cy="${px(cy)}" r="3.5" class="dot-${name}"/>`)
    }
    // Where the curves end near one another the names keep apart.
    const [first = 0, second = 0] = curves.map((each) => y(each.at(-1) ?? 1))
    const own = index === 0 ? first : second
    const other = index === 0 ? second : first
    const apart = Math.abs(own - other) < 16 ? (own <= other ? -8 : 8) : 0
    const end = WIDTH - 100
    elements.push(text(end, own + 4 + apart, index === 0 ? 'kafkats' : 'Kafka (JVM)'))
  })
  return svg('Appending one ready batch of 16 KB', height, elements)
}

/** File names below docs/performance, and what they hold. */
export function plotsOf(results: Results): Readonly<Record<string, string>> {
  const latency = plotLatency(results)
  return {
    'targets.svg': plotTargets(results),
    'distances.svg': plotDistances(results),
    ...(latency !== undefined && { 'append-latency.svg': latency }),
  }
}
