package io.github.ddpm4j.cli;

import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Says what {@code --help} says. */
@Command(
    name = "help",
    sortOptions = false,
    description = "Says what a command does, as its --help.",
    footer = {"", "  ddpm help sample"})
final class HelpCommand implements Callable<Integer> {

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      paramLabel = "COMMAND",
      arity = "0..1",
      description = "The command; without one, all of them are listed.")
  private @Nullable String name;

  @Override
  public Integer call() {
    CommandLine program = spec.root().commandLine();
    CommandLine command = name == null ? program : program.getSubcommands().get(name);
    if (command == null) {
      throw new IllegalArgumentException(
          "COMMAND must be of "
              + String.join(", ", program.getSubcommands().keySet())
              + ", but was "
              + name);
    }
    command.usage(spec.commandLine().getOut());
    return 0;
  }
}
