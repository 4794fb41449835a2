package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * The session of docs/cli.md, typed into a shell in an empty folder. {@code -Dddpm4j.rewrite=true}
 * writes into the page what is printed otherwise now: read what changed, and put … back where the
 * page had it.
 */
@EnabledOnOs(OS.LINUX)
class ShellPageTest {

  private static final Path PAGE = Path.of("../docs/cli.md");

  private static final String PROCESSES =
      """
      ddpm() {
        "$JAVA" -XX:TieredStopAtLevel=1 -Dai.djl.pytorch.num_threads=1 -Dfile.encoding=UTF-8 \\
          io.github.ddpm4j.cli.Ddpm "$@"
      }
      """;

  /** Before and after it, in what the shell prints, an exit code. */
  private static final String MARK = "\u0001";

  private static final int SECONDS = 600;

  @TempDir private Path pipes;
  @TempDir private Path folder;

  @Test
  void session_printsWhatThePageShows() throws Exception {
    compare(ShellServer.FUNCTION);
  }

  /** As on a user's machine: a process for each command. */
  @Test
  @Tag("slow")
  void session_ofProcesses_printsWhatThePageShows() throws Exception {
    compare(PROCESSES);
  }

  private void compare(String function) throws Exception {
    String page = Files.readString(PAGE);
    List<ShellPage.Command> commands = ShellPage.commands(page);
    List<String> printed = typed(commands, function);
    if (Boolean.getBoolean("ddpm4j.rewrite")) {
      Files.writeString(PAGE, rewritten(page, commands, printed));
    }
    for (int i = 0; i < commands.size(); i++) {
      ShellPage.Command command = commands.get(i);
      assertThat(command.isLike(printed.get(i)))
          .as(
              "line %d: %s%nprinted%n%s%nand not%n%s",
              command.line(), command.typed(), printed.get(i), command.printed())
          .isTrue();
    }
  }

  @Test
  void commands_areLikeWhatIsShown_orNot() {
    ShellPage.Command shown =
        ShellPage.commands("```console\n$ a \\\n>   b\nit is 0.50 of 2\n…\ntook …s\n$ c\n```\n")
            .get(0);
    assertThat(shown.typed()).isEqualTo("a b");
    assertThat(shown.line()).isEqualTo(2);
    assertThat(shown.isLike("it is 0.505 of 2\ntook 3 s\n")).isTrue();
    assertThat(shown.isLike("it is 0.495 of 2\nmore\nand more\ntook s\n")).isTrue();
    assertThat(shown.isLike("it is 0.52 of 2\ntook 3 s\n")).isFalse();
    assertThat(shown.isLike("it is -0.50 of 2\ntook 3 s\n")).isFalse();
    assertThat(shown.isLike("it is 0.50 of 3\ntook 3 s\n")).isFalse();
    assertThat(shown.isLike("it is 0.50 of 2\ntook 3 s\nmore\n")).isFalse();
    assertThat(shown.isLike("it is 0.50 of 2\ntook 3\ns\n")).isFalse();
    assertThat(shown.isLike("")).isFalse();
  }

  @Test
  void page_hasEveryCommand() throws IOException {
    String page = Files.readString(PAGE);
    List<String> typed = ShellPage.commands(page).stream().map(ShellPage.Command::typed).toList();
    assertThat(Ddpm.commandLine().getSubcommands().keySet())
        .allSatisfy(
            name -> {
              assertThat(typed).anyMatch(line -> line.contains("ddpm " + name));
              assertThat(page).contains("`" + name + "`");
            });
  }

  private List<String> typed(List<ShellPage.Command> commands, String function) throws Exception {
    for (String pipe : List.of("arguments", "code")) {
      Process made = new ProcessBuilder("mkfifo", pipes.resolve(pipe).toString()).start();
      assertThat(made.waitFor()).isZero();
    }
    StringBuilder script = new StringBuilder(function);
    for (ShellPage.Command command : commands) {
      script.append(command.typed()).append('\n');
      script.append("code=$?; printf '\\001'; (exit $code)\n");
    }
    Path lines = Files.writeString(pipes.resolve("script.sh"), script);
    Path screen = pipes.resolve("screen.txt");
    try (FolderHub hub =
        new FolderHub(folder.resolve("for-python"))
            .with("nobody/words", Tiny.PIPELINES.resolve("sd1"))) {
      Process server = server(hub);
      Process shell = null;
      try {
        ProcessBuilder bash = new ProcessBuilder("bash", "--noprofile", "--norc", "" + lines);
        bash.environment().put("PIPES", pipes.toString());
        bash.environment().put("LC_ALL", "C.UTF-8");
        bash.environment().put("JAVA", ProcessTest.JAVA);
        bash.environment().put("CLASSPATH", System.getProperty("java.class.path"));
        hub.announce(bash.environment(), folder.resolve("cache"));
        shell =
            bash.directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(Redirect.to(screen.toFile()))
                .start();
        CompletableFuture.anyOf(server.onExit(), shell.onExit()).get(SECONDS, TimeUnit.SECONDS);
        assertThat(shell.isAlive())
            .as(() -> ProcessTest.read(pipes.resolve("server.txt")))
            .isFalse();
      } finally {
        server.destroyForcibly();
        if (shell != null) {
          shell.destroyForcibly();
        }
      }
    }
    String all = ProcessTest.read(screen);
    List<String> printed = List.of(all.split(MARK, -1));
    assertThat(printed)
        .as("%s%n%s", all, ProcessTest.read(pipes.resolve("server.txt")))
        .hasSize(commands.size() + 1);
    return printed;
  }

  private Process server(FolderHub hub) throws IOException {
    ProcessBuilder builder =
        ProcessTest.java(
            List.of("-Dfile.encoding=UTF-8"), ShellServer.class, List.of(pipes.toString()));
    hub.announce(builder.environment(), folder.resolve("cache"));
    return builder
        .directory(folder.toFile())
        .redirectErrorStream(true)
        .redirectOutput(Redirect.to(pipes.resolve("server.txt").toFile()))
        .start();
  }

  /** The page with what was printed where it shows other text. */
  private static String rewritten(
      String page, List<ShellPage.Command> commands, List<String> printed) {
    List<String> lines = page.lines().toList();
    List<String> all = new ArrayList<>();
    int next = 0;
    for (int i = 0; i < commands.size(); i++) {
      ShellPage.Command command = commands.get(i);
      int first = command.line();
      while (lines.get(first - 1).endsWith("\\")) {
        first++;
      }
      all.addAll(lines.subList(next, first));
      next = first + (int) command.printed().lines().count();
      all.addAll(
          command.isLike(printed.get(i))
              ? lines.subList(first, next)
              : printed.get(i).lines().toList());
    }
    all.addAll(lines.subList(next, lines.size()));
    return String.join("\n", all) + "\n";
  }
}
