package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.internal.io.Versions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;

/**
 * What {@code --help} says, word by word. {@code -Dddpm4j.rewrite=true} writes the files of this
 * test anew: read what changed.
 */
class HelpTest {

  private static final Path FILES = Path.of("src/test/resources/help");

  static Stream<String> commands() {
    return Stream.concat(Stream.of("ddpm"), Ddpm.commandLine().getSubcommands().keySet().stream());
  }

  private static CommandLine of(String name) {
    CommandLine program = Ddpm.commandLine();
    return name.equals("ddpm") ? program : program.getSubcommands().get(name);
  }

  @ParameterizedTest
  @MethodSource("commands")
  void help_ofEveryCommand_isAsCommitted(String name) throws IOException {
    String help = of(name).getUsageMessage(Ansi.OFF).replace(System.lineSeparator(), "\n");
    Path file = FILES.resolve(name + ".txt");
    if (Boolean.getBoolean("ddpm4j.rewrite")) {
      Files.writeString(file, help);
    }
    assertThat(help).isEqualTo(Files.readString(file));
  }

  @ParameterizedTest
  @MethodSource("commands")
  void help_ofEveryCommand_hasAnExampleAndFitsTheScreen(String name) {
    String help = of(name).getUsageMessage(Ansi.OFF);
    assertThat(help).containsPattern("\n  (source <\\()?ddpm ");
    assertThat(help.lines()).allMatch(line -> line.length() <= 100);
  }

  @Test
  void files_ofCommandsThatAreNoMore_areGone() throws IOException {
    try (Stream<Path> files = Files.list(FILES)) {
      assertThat(files.map(file -> file.getFileName().toString().replace(".txt", "")))
          .containsExactlyInAnyOrderElementsOf(commands().toList());
    }
  }

  @Test
  void help_option_printsIt() {
    assertThat(Program.run("sample", "--help").good())
        .isEqualTo(of("sample").getUsageMessage(Ansi.OFF));
    assertThat(Program.run("--help").good()).isEqualTo(of("ddpm").getUsageMessage(Ansi.OFF));
  }

  @Test
  void help_command_printsIt() {
    assertThat(Program.run("help", "sample").good())
        .isEqualTo(of("sample").getUsageMessage(Ansi.OFF));
    assertThat(Program.run("help").good()).isEqualTo(of("ddpm").getUsageMessage(Ansi.OFF));
  }

  @Test
  void version_isThatOfThePictures() {
    assertThat(Program.run("--version").good().lines().toList())
        .containsExactlyElementsOf(
            Versions.ofLibraries().entrySet().stream()
                .map(library -> library.getKey() + " " + library.getValue())
                .toList());
  }

  @Test
  void completion_offersWhatTheHelpSays() {
    assertThat(Program.run("completion").good())
        .contains("\"ddpm4j\" \"safetensors\" \"diffusers\" \"npz\" \"torchscript\"")
        .contains("\"vary\" \"inpaint\" \"interpolate\"");
  }

  @Test
  void completion_knowsEveryCommand() {
    String script = Program.run("completion").good();
    assertThat(script).startsWith("#!/usr/bin/env bash").contains("complete -F");
    assertThat(script.lines().filter(line -> line.contains("local commands=")))
        .first()
        .satisfies(
            line ->
                assertThat(line.replace("\"", " ").split(" "))
                    .containsAll(commands().skip(1).toList()));
  }
}
