/** The file that threads of `verify` and `recover` run, beside this one, built or as TypeScript. */
export function verifyWorkerEntry(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./verify-worker.js', import.meta.url)
  // A thread has no loader for TypeScript of its own, whatever the process was started with.
  const loader = import.meta.resolve('tsx/esm/api')
  const entry = new URL('./verify-worker.ts', import.meta.url).href
  const code = `import { register } from '${loader}'; register(); await import('${entry}')`
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`)
}
