package io.github.ddpm4j.spark;

import java.util.Map;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.jspecify.annotations.Nullable;
import scala.jdk.javaapi.CollectionConverters;

/** Pictures as rows of a Dataset. */
final class PictureRows {

  static final String INDEX = "index";
  static final String LABEL = "label";
  static final String PNG = "png";

  static final StructType SCHEMA =
      new StructType()
          .add(INDEX, DataTypes.LongType, false)
          .add("seed", DataTypes.LongType, false)
          .add(LABEL, DataTypes.IntegerType, true)
          .add(PNG, DataTypes.BinaryType, false)
          .add(
              "provenance",
              DataTypes.createMapType(DataTypes.StringType, DataTypes.StringType, false),
              false);

  private PictureRows() {}

  static Row of(
      long index, long seed, @Nullable Integer label, byte[] png, Map<String, String> provenance) {
    return RowFactory.create(index, seed, label, png, CollectionConverters.asScala(provenance));
  }
}
