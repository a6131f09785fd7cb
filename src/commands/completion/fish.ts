import { BaseCommand } from '../../cli/base-command.ts'
import { fishCompletion } from '../../cli/fish-completion.ts'

export default class CompletionFish extends BaseCommand {
  static override summary = 'Print completions for the fish shell.'
  static override description =
    'A script that completes commands, flags and the values of flags that have a fixed choice. ' +
    'Print it again after an update. For bash, zsh and PowerShell there is <%= config.bin %> autocomplete.'
  static override examples = [
    {
      description: 'For every new shell.',
      command: '<%= config.bin %> completion fish > ~/.config/fish/completions/kafkats.fish',
    },
    {
      description: 'For this shell.',
      command: '<%= config.bin %> completion fish | source',
    },
  ]

  override async run(): Promise<void> {
    await this.parse(CompletionFish)
    const { bin, commands, topics } = this.config
    const texts = topics.map(({ name, description = '' }) => [name, description] as const)
    this.print(fishCompletion(bin, commands, Object.fromEntries(texts)))
  }
}
