package io.github.ddpm4j.cli;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** A file of options, which those of the command line override. */
final class ConfigFile implements IDefaultValueProvider {

  private static final String PROGRAM = "ddpm.";

  private final Properties values = new Properties();

  private ConfigFile() {}

  /**
   * Reads a file.
   *
   * @throws IllegalArgumentException if a line names an option that its command doesn't have
   */
  static ConfigFile read(Path file, CommandLine program) throws IOException {
    if (Files.isDirectory(file)) {
      throw new IllegalArgumentException(file + " is a folder; name a file of options");
    }
    ConfigFile config = new ConfigFile();
    try (Reader in = Files.newBufferedReader(file)) {
      config.values.load(in);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + " is no file of options: " + e.getMessage(), e);
    }
    Set<String> known = new TreeSet<>();
    Set<String> ofProgram = new TreeSet<>();
    for (CommandLine command : program.getSubcommands().values()) {
      addNames(known, command.getCommandSpec(), false);
      addNames(ofProgram, command.getCommandSpec(), true);
    }
    for (String name : new TreeSet<>(config.values.stringPropertyNames())) {
      if (ofProgram.contains(name)) {
        // Picocli asks for no defaults of options that commands inherit.
        throw new IllegalArgumentException(
            file
                + " sets "
                + name
                + ", but --"
                + name.substring(name.lastIndexOf('.') + 1)
                + " is for the command line alone");
      }
      if (!known.contains(name)) {
        String command = name.substring(0, Math.max(0, name.lastIndexOf('.'))).replace('.', ' ');
        throw new IllegalArgumentException(
            file
                + " sets "
                + name
                + ", but no command has that option; names are like ddpm.sample.sampler"
                + (command.startsWith("ddpm ") ? ", and " + command + " --help lists them" : ""));
      }
    }
    return config;
  }

  private static void addNames(Set<String> known, CommandSpec command, boolean ofProgram) {
    command.options().stream()
        .filter(option -> option.inherited() == ofProgram)
        .forEach(option -> known.add(name(command, option)));
  }

  private static String name(CommandSpec command, OptionSpec option) {
    return PROGRAM + command.name() + "." + option.longestName().replaceFirst("^-+", "");
  }

  @Override
  public @Nullable String defaultValue(ArgSpec argument) {
    return argument instanceof OptionSpec option
        ? values.getProperty(name(option.command(), option))
        : null;
  }
}
