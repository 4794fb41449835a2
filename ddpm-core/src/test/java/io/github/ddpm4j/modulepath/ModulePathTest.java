package io.github.ddpm4j.modulepath;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What an application on the module path must ask for, as the packages' Javadoc says it. */
class ModulePathTest {

  private static final String LIBRARY = "io.github.ddpm4j";

  /** True: the module path. The native jar has no legal module name and cannot lie there. */
  private static final Map<Boolean, String> PATHS =
      Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator, -1))
          .collect(
              Collectors.partitioningBy(
                  entry -> !entry.contains("pytorch-native-cpu") && !entry.endsWith("test-classes"),
                  Collectors.joining(File.pathSeparator)));

  @TempDir private Path folder;

  /** A server needs neither AWT nor ojAlgo. */
  @Test
  void sampling_withoutJavaDesktop_works() throws Exception {
    assertThat(server(LIBRARY))
        .containsExactly(
            "module: io.github.ddpm4j",
            "java.desktop: false",
            "schedule: 0.95065",
            "forward process: 0.95065",
            "samples: (2, 1, 4, 4)",
            "pictures: no class of java.awt",
            "Fréchet distance: no class of org.ojalgo");
  }

  @Test
  void picturesAndFigures_withTheirModules_work() throws Exception {
    assertThat(server(LIBRARY + ",ojalgo"))
        .containsExactly(
            "module: io.github.ddpm4j",
            "java.desktop: true",
            "schedule: 0.95065",
            "forward process: 0.95065",
            "samples: (2, 1, 4, 4)",
            "pictures: written",
            "Fréchet distance: 0");
    assertThat(folder.resolve("samples.png")).isNotEmptyFile();
  }

  /** Runs {@link Server} on a Java that has these modules and those that they require. */
  private List<String> server(String modules) throws IOException, InterruptedException {
    Path errors = folder.resolve("errors.txt");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--limit-modules", modules, "--add-modules", modules));
    command.addAll(List.of("-p", PATHS.get(true), "-cp", PATHS.get(false)));
    command.addAll(List.of("-Djava.awt.headless=true", "-Dai.djl.pytorch.num_threads=1"));
    command.add(Server.class.getName());
    Process server =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectError(Redirect.to(errors.toFile()))
            .start();
    try {
      String said = new String(server.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(server.waitFor()).as("%s%s", said, Files.readString(errors)).isZero();
      return said.lines().toList();
    } finally {
      server.destroyForcibly();
    }
  }
}
