package io.github.ddpm4j.spark;

import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.picture.SampleFolder;
import java.io.IOException;
import java.nio.file.Path;
import org.apache.spark.api.java.function.VoidFunction;
import org.apache.spark.util.LongAccumulator;

/** From the number of a block to the files of its pictures, unless they are there. */
final class DrawFiles implements VoidFunction<Long> {

  private static final long serialVersionUID = 1;

  private final Drawing drawing;
  private final String folder;
  private final LongAccumulator drawn;

  DrawFiles(Drawing drawing, Path folder, LongAccumulator drawn) {
    this.drawing = drawing;
    this.folder = folder.toString();
    this.drawn = drawn;
  }

  @Override
  public void call(Long block) {
    SampleFolder files = SampleFolder.opened(Path.of(folder));
    long first = drawing.first(block);
    long end = drawing.end(block);
    String writing = "writing pictures " + first + " to " + (end - 1) + " to " + folder;
    if (Failures.onExecutor(writing, () -> files.has(first, end))) {
      return;
    }
    for (Drawing.Drawn one : drawing.draw(block)) {
      Failures.onExecutor(writing, () -> write(one, files.file(one.index())));
    }
    drawn.add(end - first);
  }

  private static Path write(Drawing.Drawn one, Path file) throws IOException {
    Pictures.write(one.picture(), file, one.words());
    return file;
  }
}
