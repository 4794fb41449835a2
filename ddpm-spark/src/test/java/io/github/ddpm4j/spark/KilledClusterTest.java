package io.github.ddpm4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.ddpm4j.internal.picture.SampleFolder;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * A cluster of a driver and two executors, processes of this machine that are killed by SIGKILL:
 * the same pictures, statistics and weights as by two threads that were left alone.
 */
@EnabledOnOs(OS.LINUX)
@Tag("slow")
class KilledClusterTest {

  private static final int SECONDS = 540;
  private static final String CLASS_PATH = System.getProperty("java.class.path");

  @TempDir private static Path folder;
  private static Path model;
  private static Path alone;

  @BeforeAll
  static void alone() throws IOException {
    model = Local.model(folder.resolve("model"), 1);
    alone = Files.createDirectory(folder.resolve("alone"));
    ClusterMain.run(Local.spark(), model, alone);
  }

  private static ProcessBuilder driver(Path out, String executors, String... properties) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(Local.opens());
    command.addAll(List.of("-Xmx700m", "-XX:TieredStopAtLevel=1"));
    command.addAll(List.of("-Dai.djl.pytorch.num_threads=1", "-Dddpm4j.log=warn"));
    command.addAll(
        List.of(
            "-Dspark.master=local-cluster[2,1,1024]",
            "-Dspark.driver.host=127.0.0.1",
            "-Dspark.driver.bindAddress=127.0.0.1",
            "-Dspark.ui.enabled=false",
            "-Dspark.executor.extraClassPath=" + executors));
    command.addAll(Arrays.asList(properties));
    command.addAll(List.of("-cp", CLASS_PATH, ClusterMain.class.getName()));
    command.addAll(List.of(model.toString(), out.toString()));
    ProcessBuilder driver = new ProcessBuilder(command).directory(out.toFile());
    driver.environment().put("SPARK_HOME", out.toString());
    driver.environment().put("SPARK_TESTING", "1");
    driver.environment().put("SPARK_SCALA_VERSION", "2.13");
    return driver.redirectErrorStream(true).redirectOutput(out.resolve("said").toFile());
  }

  private static List<ProcessHandle> executors(Process driver) {
    return driver
        .descendants()
        .filter(process -> process.info().command().orElse("").endsWith("java"))
        .toList();
  }

  private static void await(Process driver, Path out, Path file) throws Exception {
    long start = System.nanoTime();
    while (!Files.exists(file)) {
      assertThat(driver.isAlive()).as(() -> said(out)).isTrue();
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(SECONDS));
      Thread.sleep(20);
    }
  }

  private static String said(Path out) {
    try {
      return Files.readString(
          Files.exists(out.resolve("said")) ? out.resolve("said") : out.resolve("../said"));
    } catch (IOException e) {
      return e.toString();
    }
  }

  private static void kill(List<ProcessHandle> some) {
    assertThat(some).isNotEmpty();
    some.forEach(ProcessHandle::destroyForcibly);
  }

  private static Path picture(Path out, int index) {
    return SampleFolder.opened(out.resolve("pictures")).file(index);
  }

  private static void sameAsAlone(Path out) throws IOException {
    try (Stream<Path> files = Files.list(alone.resolve("pictures"))) {
      List<Path> all =
          files.filter(file -> file.toString().endsWith(".png")).collect(Collectors.toList());
      assertThat(all).hasSize(ClusterMain.PICTURES);
      for (Path file : all) {
        assertThat(out.resolve("pictures").resolve(file.getFileName()))
            .hasSameBinaryContentAs(file);
      }
    }
    double[] expected = numbers(alone.resolve("mean"));
    double[] found = numbers(out.resolve("mean"));
    assertThat(found).hasSize(expected.length);
    for (int i = 0; i < found.length; i++) {
      assertThat(Math.abs(found[i] - expected[i])).isLessThan(1e-9);
    }
    assertThat(out.resolve("weights")).hasSameTextualContentAs(alone.resolve("weights"));
  }

  private static double[] numbers(Path file) throws IOException {
    String text = Files.readString(file);
    return Arrays.stream(text.substring(1, text.length() - 1).split(", "))
        .mapToDouble(Double::parseDouble)
        .toArray();
  }

  /** One of two executors is killed as it draws, and one as it trains. */
  @Test
  void executors_thatAreKilled_changeNothing() throws Exception {
    Path out = Files.createDirectory(folder.resolve("executors"));
    Process driver = driver(out, CLASS_PATH).start();
    try {
      await(driver, out, picture(out, 8));
      kill(executors(driver).subList(0, 1));
      await(driver, out, out.resolve("round-1"));
      kill(executors(driver).subList(0, 1));
      assertThat(driver.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
      assertThat(driver.exitValue()).as(() -> said(out)).isZero();
      assertThat(said(out)).contains("ExecutorLostFailure");
      sameAsAlone(out);
    } finally {
      driver.descendants().forEach(ProcessHandle::destroyForcibly);
      driver.destroyForcibly();
    }
  }

  /** The driver is killed as it draws, the next as it trains; the third finishes. */
  @Test
  void drivers_thatAreKilled_areGoneOnWith() throws Exception {
    Path out = Files.createDirectory(folder.resolve("drivers"));
    for (Path until : List.of(picture(out, 8), out.resolve("round-1"))) {
      Process driver = driver(out, CLASS_PATH).start();
      try {
        await(driver, out, until);
      } finally {
        List<ProcessHandle> left = driver.descendants().toList();
        driver.destroyForcibly().waitFor();
        left.forEach(ProcessHandle::destroyForcibly);
      }
    }
    assertThat(out.resolve("weights")).doesNotExist();
    Process driver = driver(out, CLASS_PATH).start();
    assertThat(driver.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
    assertThat(driver.exitValue()).as(() -> said(out)).isZero();
    sameAsAlone(out);
  }

  /** A file system in memory that the driver's processes alone see, too small for the pictures. */
  @Test
  void disk_thatIsFull_isTold() throws Exception {
    Path out = Files.createDirectory(folder.resolve("full"));
    Path disk = Files.createDirectory(out.resolve("pictures"));
    ProcessBuilder builder = driver(out, CLASS_PATH);
    List<String> mounted =
        List.of(
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"",
            disk.toString());
    Process tried =
        new ProcessBuilder(
                Stream.concat(mounted.stream(), Stream.of("true")).collect(Collectors.toList()))
            .start();
    assumeTrue(tried.waitFor() == 0, "this system lets no user mount a file system");
    builder.command().addAll(0, mounted);
    assertThat(finished(builder)).isEqualTo(1);
    assertThat(Files.readString(out.resolve("failed")))
        .matches(
            "executor \\d: writing pictures \\d+ to \\d+ to "
                + disk
                + " failed: .*No space left on device.*");
  }

  private static int finished(ProcessBuilder builder) throws Exception {
    Process driver = builder.start();
    try {
      assertThat(driver.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
      return driver.exitValue();
    } finally {
      driver.descendants().forEach(ProcessHandle::destroyForcibly);
      driver.destroyForcibly();
    }
  }

  @Test
  void executors_withoutNatives_areTold() throws Exception {
    Path out = Files.createDirectory(folder.resolve("natives"));
    String without =
        Arrays.stream(CLASS_PATH.split(File.pathSeparator))
            .filter(jar -> !jar.contains("pytorch-native") && !jar.contains("pytorch-jni"))
            .collect(Collectors.joining(File.pathSeparator));
    ProcessBuilder builder =
        driver(
            out,
            without,
            "-Dspark.executor.extraJavaOptions=-Dai.djl.offline=true -DDJL_CACHE_DIR="
                + out.resolve("cache"));
    assertThat(finished(builder)).isEqualTo(1);
    assertThat(Files.readString(out.resolve("failed")))
        .matches("executor \\d: loading the model " + model + " failed: DJL's engine cannot be .*");
  }
}
