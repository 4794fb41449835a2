package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** Flags on the command line, in a file of options, and in both. */
class ConfigFlagsTest {

  @TempDir private Path folder;

  /** The command and longest name of every flag, but of those of the program itself. */
  static Stream<List<String>> flags() {
    List<List<String>> all = new ArrayList<>();
    for (Map.Entry<String, CommandLine> command : Ddpm.commandLine().getSubcommands().entrySet()) {
      for (OptionSpec option : command.getValue().getCommandSpec().options()) {
        if (Ddpm.isFlag(option) && !option.inherited()) {
          all.add(List.of(command.getKey(), option.longestName()));
        }
      }
    }
    return all.stream();
  }

  @Test
  void flags_areThoseOfAllCommands() {
    assertThat(flags())
        .hasSizeGreaterThan(20)
        .contains(
            List.of("train", "--flips"),
            List.of("train", "--resume"),
            List.of("sample", "--any-sampler"),
            List.of("benchmark", "--quick"));
  }

  @ParameterizedTest
  @MethodSource("flags")
  void flag_isWhatTheCommandLineSays_elseTheFile(List<String> flag) throws IOException {
    String name = flag.get(1);
    assertThat(value(null, flag, name)).as("alone").isTrue();
    assertThat(value(null, flag)).as("nowhere").isFalse();
    assertThat(value("true", flag, name)).as("true and given").isTrue();
    assertThat(value("true", flag)).as("true").isTrue();
    assertThat(value("false", flag, name)).as("false and given").isTrue();
    assertThat(value("false", flag)).as("false").isFalse();
  }

  private boolean value(@Nullable String inFile, List<String> flag, String... typed)
      throws IOException {
    CommandLine program = Ddpm.commandLine();
    if (inFile != null) {
      String line = "ddpm." + flag.get(0) + "." + flag.get(1).substring(2) + " = " + inFile;
      Path file = Files.writeString(folder.resolve("options.properties"), line);
      program.setDefaultValueProvider(ConfigFile.read(file, program));
    }
    CommandLine command = program.getSubcommands().get(flag.get(0));
    // What else the command requires is missing.
    command.getCommandSpec().parser().collectErrors(true);
    program.parseArgs(
        Stream.concat(Stream.of(flag.get(0)), Stream.of(typed)).toArray(String[]::new));
    Boolean value = command.getCommandSpec().findOption(flag.get(1)).getValue();
    return Boolean.TRUE.equals(value);
  }
}
