package io.github.ddpm4j.data;

import ai.djl.ndarray.types.Shape;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The pictures of a folder as a dataset: PNG, JPEG, GIF (the first picture), BMP, TIFF and WebP
 * files of any size, grey, RGB, CMYK, with palettes and transparency, in up to 16 bits.
 *
 * <pre>{@code
 * PictureFolder photos =
 *     PictureFolder.builder(Path.of("photos"), new Shape(3, 64, 64))
 *         .setSampling(16, true)
 *         .horizontalFlips()
 *         .build();
 * }</pre>
 *
 * <p>Pictures lie in the folder itself, or in folders in it that are classes, sorted by name, which
 * may have folders of their own. Files with other endings and what begins with a dot are passed
 * over. Cameras' orientation (EXIF) is obeyed. Colours become grey by 0.299 R + 0.587 G + 0.114 B.
 * Sizes are changed by Lanczos' filter, antialiased. Values keep 16 bits.
 *
 * <p>{@link #prepare} reads each file once. Those that are broken are left out, logged and listed
 * by {@link #brokenFiles}, unless {@link Builder#failOnBroken} was called.
 */
public final class PictureFolder extends PictureDataset {

  private final Path folder;
  private final FolderSource folderSource;

  private PictureFolder(Builder builder, FolderSource source, Workers workers) {
    super(builder, source, workers, builder.fit == Fit.RANDOM_CROP ? "crops" : "");
    this.folder = builder.folder;
    this.folderSource = source;
  }

  /** What is done to pictures of another size than the images. */
  public enum Fit {
    /** Scaled to cover the image; what is beyond it on both sides is cut off. The default. */
    CENTRE_CROP,
    /** Scaled to cover the image; where it is cut off is drawn at each visit. */
    RANDOM_CROP,
    /** Scaled to lie within the image, with the background beside it. */
    PAD,
    /** Scaled in each direction by another factor. */
    STRETCH
  }

  /**
   * A file that could not be read.
   *
   * @param file the file
   * @param reason why, in words that name the file
   */
  public record BrokenFile(Path file, String reason) {}

  /**
   * Returns a new builder.
   *
   * @param folder the folder
   * @param image the shape of an image: (1, H, W) for grey, (3, H, W) for RGB, (4, H, W) for RGB
   *     and the opacity
   * @return a builder, which requires {@code setSampling}
   * @throws IllegalArgumentException if {@code image} has a different form
   */
  public static Builder builder(Path folder, Shape image) {
    return new Builder(folder, image, PictureList::of);
  }

  static Builder builder(Path folder, Shape image, Listing listing) {
    return new Builder(folder, image, listing);
  }

  /** How files and their classes are found. */
  @FunctionalInterface
  interface Listing {
    PictureList of(Path folder) throws IOException;
  }

  /**
   * The files that were left out because they cannot be read, in their order.
   *
   * @return the files with the reasons; empty before {@link #prepare}
   */
  public List<BrokenFile> brokenFiles() {
    return folderSource.broken();
  }

  @Override
  public String toString() {
    return "PictureFolder[" + folder + "]";
  }

  /** Builds a {@link PictureFolder}: DJL's {@code setSampling} is required, the rest optional. */
  public static final class Builder extends PictureDataset.Builder<Builder> {

    /** How many bytes of decoded pictures are kept by default: {@value}. */
    public static final long DEFAULT_CACHE_BYTES = 256L << 20;

    private final Path folder;
    private final Listing listing;
    private Fit fit = Fit.CENTRE_CROP;
    private Color background = Color.WHITE;
    private long cacheBytes = DEFAULT_CACHE_BYTES;
    private @Nullable Path cacheFolder;
    private boolean failOnBroken;

    private Builder(Path folder, Shape image, Listing listing) {
      super(image);
      long channels = image.dimension() == 3 ? image.get(0) : 0;
      if ((channels != 1 && channels != 3 && channels != 4)
          || image.get(1) < 1
          || image.get(2) < 1) {
        throw new IllegalArgumentException(
            "image must have shape (1, H, W), (3, H, W) or (4, H, W), but was " + image);
      }
      this.folder = Objects.requireNonNull(folder, "folder");
      this.listing = listing;
    }

    @Override
    protected Builder self() {
      return this;
    }

    /**
     * What is done to pictures of another size.
     *
     * @param fit {@link Fit#CENTRE_CROP} by default
     * @return this builder
     */
    public Builder fit(Fit fit) {
      this.fit = Objects.requireNonNull(fit, "fit");
      return this;
    }

    /**
     * What shows through transparent pixels of images without opacity, and beside pictures that are
     * padded.
     *
     * @param background white by default; its alpha is ignored
     * @return this builder
     */
    public Builder background(Color background) {
      this.background = Objects.requireNonNull(background, "background");
      return this;
    }

    /**
     * Keeps decoded pictures in memory: 2 bytes per pixel and channel. Those that there is no room
     * for are read at each visit.
     *
     * @param bytes the most bytes, at least 0; {@value #DEFAULT_CACHE_BYTES} by default
     * @return this builder
     * @throws IllegalArgumentException if it is negative
     */
    public Builder cacheInMemory(long bytes) {
      this.cacheBytes = requireBytes(bytes);
      this.cacheFolder = null;
      return this;
    }

    /**
     * Keeps decoded pictures in a file, which is gone when the process is.
     *
     * @param folder the folder of the file; made if it is missing
     * @param bytes the most bytes, at least 0
     * @return this builder
     * @throws IllegalArgumentException if {@code bytes} is negative
     */
    public Builder cacheInFile(Path folder, long bytes) {
      this.cacheFolder = Objects.requireNonNull(folder, "folder");
      this.cacheBytes = requireBytes(bytes);
      return this;
    }

    private static long requireBytes(long bytes) {
      if (bytes < 0) {
        throw new IllegalArgumentException("a cache must have at least 0 bytes, but had " + bytes);
      }
      return bytes;
    }

    /**
     * Refuses folders with broken files, by their names, instead of leaving them out.
     *
     * @return this builder
     */
    public Builder failOnBroken() {
      this.failOnBroken = true;
      return this;
    }

    /**
     * Builds the dataset by listing the folder. Files are read by {@link PictureDataset#prepare},
     * which training calls.
     *
     * @return the dataset
     * @throws IOException if the folder cannot be read, holds no pictures, or holds both pictures
     *     and folders of pictures
     */
    @Override
    public PictureFolder build() throws IOException {
      requireUsable();
      PictureList files = listing.of(folder);
      FrameCache cache =
          cacheFolder == null
              ? FrameCache.inMemory(cacheBytes)
              : FrameCache.inFile(cacheFolder, cacheBytes);
      Workers workers = workers();
      Fitting fitting = Fitting.of(image, fit, background);
      return new PictureFolder(
          this, new FolderSource(folder, files, fitting, cache, workers, failOnBroken), workers);
    }
  }
}
