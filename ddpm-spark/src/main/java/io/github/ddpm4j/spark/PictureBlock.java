package io.github.ddpm4j.spark;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.image.Pictures;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import scala.Tuple2;

/**
 * The pictures of a block, or what there is of it.
 *
 * @param indexes ascending
 * @param pictures the bytes of the file of each
 */
record PictureBlock(List<Long> indexes, List<byte[]> pictures) {

  /** The pictures, float32, shape (N, C, H, W), in [-1, 1]. */
  NDArray array(NDManager manager) throws IOException {
    NDList all = new NDList();
    for (int i = 0; i < pictures.size(); i++) {
      BufferedImage picture = ImageIO.read(new ByteArrayInputStream(pictures.get(i)));
      if (picture == null) {
        throw new IOException("picture " + indexes.get(i) + " is none that Java reads");
      }
      NDArray one = Pictures.toArray(manager, picture);
      if (i > 0 && !one.getShape().equals(all.get(0).getShape())) {
        throw new IOException(
            "pictures must have one size, but number "
                + indexes.get(0)
                + " has "
                + all.get(0).getShape()
                + " and number "
                + indexes.get(i)
                + " has "
                + one.getShape());
      }
      all.add(one);
    }
    return NDArrays.stack(all);
  }

  /** Cuts the pictures of a partition, which come by their indexes, into blocks. */
  static Iterator<PictureBlock> blocks(Iterator<Tuple2<Long, byte[]>> sorted, int block) {
    return new Iterator<>() {
      private @Nullable Tuple2<Long, byte[]> next = sorted.hasNext() ? sorted.next() : null;

      @Override
      public boolean hasNext() {
        return next != null;
      }

      @Override
      public PictureBlock next() {
        Tuple2<Long, byte[]> first = next;
        if (first == null) {
          throw new NoSuchElementException();
        }
        PictureBlock one = new PictureBlock(new ArrayList<>(), new ArrayList<>());
        long number = Math.floorDiv(first._1(), block);
        for (Tuple2<Long, byte[]> at = first;
            at != null && Math.floorDiv(at._1(), block) == number;
            at = next) {
          one.add(at);
          next = sorted.hasNext() ? sorted.next() : null;
        }
        return one;
      }
    };
  }

  /** Adds the next. */
  void add(Tuple2<Long, byte[]> picture) {
    if (!indexes.isEmpty() && indexes.get(indexes.size() - 1).equals(picture._1())) {
      throw new IllegalArgumentException(
          "indexes must differ, but " + picture._1() + " is there twice");
    }
    indexes.add(picture._1());
    pictures.add(picture._2());
  }
}
