package io.github.ddpm4j.cli;

import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.data.DataDoctor;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.report.internal.Progress;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Looks through a folder of pictures. */
@Command(
    name = "data",
    sortOptions = false,
    description = {
      "Looks through a folder of pictures and says what would hurt training: broken files,"
          + " duplicates, sizes, classes.",
      "The exit code is 1 if a file is broken."
    },
    footer = {"", "  ddpm data photos --size 3x64x64"})
final class DataCommand implements Callable<Integer> {

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "FOLDER", description = "The pictures, or a folder for each class.")
  private Path folder = Path.of("");

  @Option(
      names = "--size",
      paramLabel = "CxHxW",
      converter = ImageSize.class,
      description = "Channels, height and width to train on (default: 3x64x64).")
  private Shape size = new Shape(3, 64, 64);

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    Inputs.require(List.of(folder));
    DataDoctor doctor;
    try (Progress progress = Ddpm.progress(spec, "looking", "files").silentIfShort()) {
      doctor =
          DataDoctor.examine(folder, size, (seen, all) -> progress.to((long) seen, (long) all, ""));
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(json ? json(doctor) : doctor);
    out.flush();
    return doctor.brokenFiles().isEmpty() ? 0 : 1;
  }

  private JsonObject json(DataDoctor doctor) {
    JsonObject result = new JsonObject();
    result.addProperty("folder", folder.toString());
    JsonArray broken = new JsonArray();
    for (PictureFolder.BrokenFile file : doctor.brokenFiles()) {
      JsonObject one = new JsonObject();
      one.addProperty("file", file.file().toString());
      one.addProperty("reason", file.reason());
      broken.add(one);
    }
    result.add("findings", texts(doctor.findings()));
    result.add("broken", broken);
    result.add("duplicates", groups(doctor.duplicates()));
    result.add("near duplicates", groups(doctor.nearDuplicates()));
    result.add("report", texts(doctor.toString().lines().toList()));
    return result;
  }

  private static JsonArray groups(List<List<String>> groups) {
    JsonArray all = new JsonArray();
    groups.forEach(group -> all.add(texts(group)));
    return all;
  }

  private static JsonArray texts(List<String> texts) {
    JsonArray all = new JsonArray();
    texts.forEach(all::add);
    return all;
  }
}
