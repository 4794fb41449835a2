package io.github.ddpm4j.spark;

import io.github.ddpm4j.image.Pictures;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.util.LongAccumulator;

/** From the number of a block to the rows of its pictures. */
final class DrawRows implements FlatMapFunction<Long, Row> {

  private static final long serialVersionUID = 1;

  private final Drawing drawing;
  private final LongAccumulator drawn;

  DrawRows(Drawing drawing, LongAccumulator drawn) {
    this.drawing = drawing;
    this.drawn = drawn;
  }

  @Override
  public Iterator<Row> call(Long block) throws IOException {
    List<Row> rows = new ArrayList<>();
    for (Drawing.Drawn one : drawing.draw(block)) {
      ByteArrayOutputStream png = new ByteArrayOutputStream();
      Pictures.write(one.picture(), png, one.words());
      rows.add(
          PictureRows.of(one.index(), drawing.seed(), one.label(), png.toByteArray(), one.words()));
    }
    drawn.add(rows.size());
    return rows.iterator();
  }
}
