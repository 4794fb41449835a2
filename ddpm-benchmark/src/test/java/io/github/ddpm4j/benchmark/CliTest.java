package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine.Command;

class CliTest {

  @Command(name = "Main")
  private record Failing(Exception problem) implements Callable<Integer> {
    @Override
    public Integer call() throws Exception {
      throw problem;
    }
  }

  private static String says(Exception problem) {
    StringWriter err = new StringWriter();
    int code = Cli.commandLine(new Failing(problem)).setErr(new PrintWriter(err)).execute();
    assertThat(code).isEqualTo(Cli.USER_ERROR);
    return err.toString().strip();
  }

  private static List<Arguments> problems() {
    return List.of(
        Arguments.of(new NoSuchFileException("/a"), "/a does not exist"),
        Arguments.of(
            new FileAlreadyExistsException("/a"),
            "/a is in the way: a file or folder of this name exists"),
        Arguments.of(new NotDirectoryException("/a"), "/a is not a folder"),
        Arguments.of(
            new AccessDeniedException("/a"), "/a cannot be read or written: access is denied"),
        Arguments.of(new FileSystemException("/a"), "/a cannot be read or written"),
        Arguments.of(
            new FileSystemException("/a", null, "No space left on device"),
            "/a: No space left on device"),
        Arguments.of(new IOException("/a is no model"), "/a is no model"),
        Arguments.of(new IllegalArgumentException("n was 0"), "n was 0"));
  }

  @ParameterizedTest
  @MethodSource("problems")
  void whatTheUserCanPutRight_endsInOneLineThatSaysWhat(Exception problem, String message) {
    assertThat(says(problem)).isEqualTo("Main: " + message);
    if (problem instanceof IOException cause) {
      assertThat(says(new UncheckedIOException(cause))).isEqualTo("Main: " + message);
    }
  }

  /** Sentences are wrapped by the help itself, not in their midst. */
  @Test
  void descriptions_breakAfterSentencesAlone() {
    String[] lines = Cli.commandLine(new Benchmark()).getCommandSpec().usageMessage().description();
    assertThat(lines).isNotEmpty();
    assertThat(Arrays.asList(lines)).allMatch(line -> line.endsWith("."));
  }
}
