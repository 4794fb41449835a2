package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.torch.GradMode;

/** Finds the nearest of some vectors for every pixel. */
final class CodeBook {

  /** How many distances are held at once. */
  private static final int MOST_DISTANCES = 1 << 22;

  private CodeBook() {}

  /**
   * The numbers of the codes of least squared distance.
   *
   * @param latents shape (N, E, H, W)
   * @param codes shape (K, E)
   * @param manager owns the result
   * @return int64, shape (N, H, W)
   */
  static NDArray nearest(NDArray latents, NDArray codes, NDManager manager) {
    Shape shape = latents.getShape();
    try (GradMode off = GradMode.off();
        NDManager own = manager.newSubManager(latents.getDevice())) {
      // What is made of arrays goes where they are, so all begins with views in a manager of ours.
      NDArray channelsLast = latents.transpose(0, 2, 3, 1);
      channelsLast.attach(own);
      NDArray pixels = channelsLast.reshape(-1, shape.get(1));
      NDArray book = codes.reshape(codes.getShape());
      book.attach(own);
      NDArray columns = book.transpose();
      NDArray squares = book.square().sum(new int[] {1}).reshape(1, -1);
      long most = Math.max(1, MOST_DISTANCES / codes.getShape().get(0));
      long count = pixels.getShape().get(0);
      NDList parts = new NDList();
      for (long first = 0; first < count; first += most) {
        try (NDManager piece = own.newSubManager()) {
          NDArray some = pixels.get(new NDIndex("{}:{}", first, Math.min(count, first + most)));
          some.attach(piece);
          // |z − c|² less |z|², which is the same for all codes.
          NDArray distances = some.matMul(columns).muli(-2).addi(squares);
          NDArray found = distances.argMin(1);
          found.attach(own);
          parts.add(found);
        }
      }
      NDArray all = parts.size() == 1 ? parts.head() : NDArrays.concat(parts, 0);
      NDArray result = all.reshape(shape.get(0), shape.get(2), shape.get(3));
      result.attach(manager);
      return result;
    }
  }

  /** The codes of numbers, (N, H, W), as images of shape (N, E, H, W), in the manager. */
  static NDArray codes(NDArray numbers, NDArray codes, NDManager manager) {
    Shape shape = numbers.getShape();
    try (GradMode off = GradMode.off();
        NDManager own = manager.newSubManager(codes.getDevice())) {
      NDArray flat = numbers.reshape(shape.size());
      flat.attach(own);
      NDArray rows = EagerOps.inference().embedding(codes, flat);
      rows.attach(own);
      NDArray result =
          rows.reshape(shape.get(0), shape.get(1), shape.get(2), -1)
              .transpose(0, 3, 1, 2)
              .duplicate();
      result.attach(manager);
      return result;
    }
  }
}
