import { applyChange } from './apply-change.ts'
import type { MetadataChange, MetadataImage, MetadataStore } from './metadata-image.ts'

/** Metadata that lives as long as the process: for a mount, where nothing may be written. */
export class MemoryMetadataStore implements MetadataStore {
  #image: MetadataImage

  constructor(image: MetadataImage) {
    this.#image = image
  }

  get image(): MetadataImage {
    return this.#image
  }

  apply(changes: readonly MetadataChange[]): MetadataImage {
    this.#image = changes.reduce(applyChange, this.#image)
    return this.#image
  }

  close(): void {
    // Nothing is open.
  }
}
