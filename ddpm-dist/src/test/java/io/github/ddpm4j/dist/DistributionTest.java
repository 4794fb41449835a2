package io.github.ddpm4j.dist;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The distribution that was just built, as a user starts it. */
@EnabledOnOs(OS.LINUX)
class DistributionTest {

  private static final Path HOME = Path.of(System.getProperty("ddpm4j.distribution"));
  private static final Path DDPM = HOME.resolve("bin").resolve("ddpm");
  private static final int SECONDS = 120;

  @TempDir private Path folder;

  /** With no environment but what is given, in a folder of its own. */
  private Process start(List<String> environment, Path program, Object... args) throws IOException {
    // A shell that runs the tests in the background may ignore Ctrl-C, which is inherited.
    List<String> command = new ArrayList<>(List.of("/usr/bin/env", "-i", "--default-signal=INT"));
    command.addAll(environment);
    command.add(program.toString());
    Stream.of(args).map(String::valueOf).forEach(command::add);
    return new ProcessBuilder(command)
        .directory(folder.toFile())
        .redirectOutput(Redirect.to(folder.resolve("out.txt").toFile()))
        .redirectError(Redirect.to(folder.resolve("err.txt").toFile()))
        .start();
  }

  private int run(List<String> environment, Path program, Object... args) throws Exception {
    return end(start(environment, program, args));
  }

  private static int end(Process process) throws Exception {
    try {
      assertThat(process.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  private String read(String name) throws IOException {
    return Files.readString(folder.resolve(name));
  }

  private static List<String> names(Path where) throws IOException {
    try (Stream<Path> files = Files.list(where)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  /** The distribution in another place, of hard links. */
  private static Path moved(Path place) throws IOException {
    try (Stream<Path> all = Files.walk(HOME)) {
      for (Path path : all.toList()) {
        Path there = place.resolve(HOME.relativize(path).toString());
        if (Files.isDirectory(path)) {
          Files.createDirectories(there);
        } else {
          Files.createLink(there, path);
        }
      }
    }
    return place;
  }

  @Test
  void sample_whereverItLies_withoutPath_home_orJava_draws_andUnpacksNothing() throws Exception {
    Path program = moved(folder.resolve("another place")).resolve("bin").resolve("ddpm");
    Path temporary = Files.createDirectory(folder.resolve("temporary"));
    // A home that even root cannot write to; DJL would unpack into the temporary folder then.
    String options = "DDPM_OPTS=-Duser.home=/proc/self -Djava.io.tmpdir=" + temporary;
    List<String> environment = List.of("PATH=", "HOME=/proc/self", options);
    assertThat(run(environment, program, "sample", "-mfashion", "-n4", "-sddim:2", "-o4.png"))
        .as(read("err.txt"))
        .isZero();
    assertThat(read("err.txt")).isEmpty();
    assertThat(read("out.txt")).isEqualTo("4.png: 4 of 4 pictures drawn now\n");
    BufferedImage grid = ImageIO.read(folder.resolve("4.png").toFile());
    assertThat(grid.getWidth()).isGreaterThanOrEqualTo(2 * 28);
    assertThat(names(temporary)).isEmpty();
  }

  @Test
  void links_ofAnyKind_leadToTheDistribution() throws Exception {
    Path place = Files.createDirectories(folder.resolve("a b").resolve("c"));
    Path absolute = Files.createSymbolicLink(place.resolve("one *"), DDPM);
    Path relative = folder.resolve("a b").resolve("two");
    Files.createSymbolicLink(relative, Path.of("c", "one *"));
    assertThat(run(List.of(), relative, "--help")).as(read("err.txt")).isZero();
    String help = read("out.txt");
    assertThat(help).startsWith("Usage: ddpm ");
    assertThat(run(List.of("PATH=" + place), Path.of("one *"), "--help"))
        .as(read("err.txt"))
        .isZero();
    assertThat(read("out.txt")).isEqualTo(help);
    Files.delete(relative);
    Files.delete(absolute);
  }

  @Test
  void exitCodesAndArguments_areTheProgramS() throws Exception {
    assertThat(run(List.of(), DDPM, "info", "no such *")).isEqualTo(2);
    assertThat(read("err.txt")).isEqualTo("info: no such * does not exist\n");
    assertThat(read("out.txt")).isEmpty();
  }

  @Test
  void names_thatAreNotOfAscii_areReadAndSaid_whateverTheLocale() throws Exception {
    for (String locale : List.of("LC_ALL=C", "LANG=POSIX", "LANG=xx_XX.UTF-8", "NONE=")) {
      assertThat(run(List.of(locale), DDPM, "info", "gr\u00f6\u00dfe")).as(locale).isEqualTo(2);
      assertThat(read("err.txt")).as(locale).isEqualTo("info: gr\u00f6\u00dfe does not exist\n");
    }
  }

  @Test
  void options_ofJava_areWords_butNoPatterns() throws Exception {
    Files.createFile(folder.resolve("-version"));
    assertThat(run(List.of("DDPM_OPTS=-Xmx64m  -versio?"), DDPM, "--help")).isEqualTo(1);
    assertThat(read("out.txt") + read("err.txt")).contains("Unrecognized option: -versio?\n");
  }

  @Test
  void download_hasItsPartsOfJava() throws Exception {
    List<String> nobody =
        List.of("HF_ENDPOINT=http://127.0.0.1:1", "HF_HOME=" + folder.resolve("cache"));
    assertThat(run(nobody, DDPM, "download", "google/ddpm-cifar10-32")).isEqualTo(2);
    assertThat(read("err.txt")).contains("127.0.0.1:1").doesNotContain("stacktrace");
  }

  @Test
  void ctrlC_reachesTheProgram_whichHasItsEnvironment() throws Exception {
    Path pictures = folder.resolve("pictures");
    List<String> environment = List.of("GOMP_SPINCOUNT=7");
    Process process =
        start(environment, DDPM, "sample", "-mfashion", "-sddim:1", "-n1000000", "-o", pictures);
    try {
      long start = System.nanoTime();
      while (!Files.isDirectory(pictures) || names(pictures).size() < 3) {
        assertThat(process.isAlive()).as(read("err.txt")).isTrue();
        assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(SECONDS));
        TimeUnit.MILLISECONDS.sleep(20);
      }
      Path java = Path.of("/proc/" + process.pid());
      assertThat(java.resolve("exe").toRealPath())
          .isEqualTo(HOME.resolve("runtime/bin/java").toRealPath());
      assertThat(Files.readString(java.resolve("environ")).split("\0"))
          .contains("OMP_WAIT_POLICY=PASSIVE", "GOMP_SPINCOUNT=7");
      assertThat(Files.readString(java.resolve("maps")))
          .contains(HOME.resolve("native/libtorch_cpu.so").toRealPath().toString())
          .contains(HOME.resolve("lib/ddpm.jsa").toRealPath().toString());
      assertThat(new ProcessBuilder("kill", "-INT", "" + process.pid()).start().waitFor()).isZero();
    } catch (Throwable e) {
      process.destroyForcibly();
      throw e;
    }
    assertThat(end(process)).isEqualTo(130);
  }

  @Test
  void notice_namesWhatIsInside_andNothingElse() throws IOException {
    Set<String> jars = new HashSet<>();
    for (String name : names(HOME.resolve("lib"))) {
      Matcher jar = Pattern.compile("(.+?)-[0-9][^/]*\\.jar").matcher(name);
      if (jar.matches() && !name.startsWith("ddpm-")) {
        jars.add(jar.group(1));
      }
    }
    Set<String> named = new HashSet<>();
    Pattern line = Pattern.compile("  ([a-z][\\w-]*)(?:, ([a-z][\\w-]*))?  .*");
    String notice = Files.readString(HOME.resolve("NOTICE"));
    String table = notice.substring(notice.indexOf("\nJars,"), notice.indexOf("\nData inside"));
    for (String row : table.lines().skip(2).filter(row -> !row.isBlank()).toList()) {
      Matcher names = line.matcher(row);
      assertThat(names.matches()).as(row).isTrue();
      named.add(names.group(1));
      if (names.group(2) != null) {
        named.add(names.group(2));
      }
    }
    assertThat(named).isEqualTo(jars);
    assertThat(names(HOME.resolve("native")))
        .allMatch(name -> notice.contains(name.replaceFirst("[-.].*", "")));
    assertThat(names(HOME)).containsExactly("LICENSE", "NOTICE", "bin", "lib", "native", "runtime");
    assertThat(names(HOME.resolve("runtime/legal"))).contains("java.base", "java.desktop");
  }
}
