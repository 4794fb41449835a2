package io.github.ddpm4j.internal.files;

import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.ProviderMismatchException;
import java.nio.file.StandardOpenOption;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.spi.FileSystemProvider;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * The file system of the machine, seen through paths that record each change, and that can let one
 * fail: what would be on the disk after a loss of power is worked out by {@link PowerLoss}.
 */
public final class RecordingFileSystem extends FileSystem {

  /** A change, of files by their path. */
  public sealed interface Change {
    /** A file that was not there, or is empty from now on. */
    record Created(Path file) implements Change {}

    /** Bytes at the end of a file. */
    @SuppressWarnings("ArrayRecordComponent") // read by the test alone
    record Written(Path file, byte[] bytes) implements Change {}

    /** The bytes of a file, or the names of a folder, are on the disk. */
    record Forced(Path path) implements Change {}

    /** A new name. */
    record Moved(Path from, Path to) implements Change {}

    /** A name less. */
    record Deleted(Path path) implements Change {}

    /** A folder. */
    record MadeFolder(Path folder) implements Change {}
  }

  private final Provider provider = new Provider();
  private final List<Change> changes = new ArrayList<>();
  private long failAt = Long.MAX_VALUE;
  private boolean forGood;

  /** The recording form of a path of the machine. */
  public Path path(Path real) {
    return new Recorded(real);
  }

  /** What has happened, oldest first. */
  public synchronized List<Change> changes() {
    return List.copyOf(changes);
  }

  /** Lets the change number k from now on fail, from 0, alone or with all later ones. */
  public synchronized void failAt(int k, boolean persistent) {
    failAt = changes.size() + (long) k;
    forGood = persistent;
  }

  /** Lets no further change fail; tells whether one did since {@link #failAt}. */
  public synchronized boolean stopFailing() {
    boolean failed = changes.size() > failAt || hit;
    failAt = Long.MAX_VALUE;
    hit = false;
    return failed;
  }

  private boolean hit;
  private volatile Consumer<Change> hook = change -> {};

  /** Called before each change of files, on the thread that makes it. */
  public void beforeEach(Consumer<Change> task) {
    hook = task;
  }

  private void before(Change change) throws IOException {
    hook.accept(change);
    failIfDue(change);
  }

  private synchronized void failIfDue(Change change) throws IOException {
    if (changes.size() >= failAt && (forGood || !hit)) {
      hit = true;
      throw new IOException("No space left on device: " + change.getClass().getSimpleName());
    }
  }

  private synchronized void after(Change change) {
    changes.add(change);
  }

  /** A change that may fail, and is recorded if it does not. */
  private interface Work {
    void run() throws IOException;
  }

  private void recorded(Change change, Work work) throws IOException {
    before(change);
    work.run();
    after(change);
  }

  private static Path real(Path path) {
    if (path instanceof Recorded recorded) {
      return recorded.real;
    }
    throw new ProviderMismatchException(path.toString());
  }

  private final class Recorded implements Path {
    private final Path real;

    Recorded(Path real) {
      this.real = real;
    }

    private Path other(Path path) {
      return path instanceof Recorded recorded ? recorded.real : path;
    }

    private Path wrap(Path path) {
      return path == null ? null : new Recorded(path);
    }

    @Override
    public FileSystem getFileSystem() {
      return RecordingFileSystem.this;
    }

    @Override
    public boolean isAbsolute() {
      return real.isAbsolute();
    }

    @Override
    public Path getRoot() {
      return wrap(real.getRoot());
    }

    @Override
    public Path getFileName() {
      return wrap(real.getFileName());
    }

    @Override
    public Path getParent() {
      return wrap(real.getParent());
    }

    @Override
    public int getNameCount() {
      return real.getNameCount();
    }

    @Override
    public Path getName(int index) {
      return wrap(real.getName(index));
    }

    @Override
    public Path subpath(int begin, int end) {
      return wrap(real.subpath(begin, end));
    }

    @Override
    public boolean startsWith(Path path) {
      return real.startsWith(other(path));
    }

    @Override
    public boolean endsWith(Path path) {
      return real.endsWith(other(path));
    }

    @Override
    public Path normalize() {
      return wrap(real.normalize());
    }

    @Override
    public Path resolve(Path path) {
      return wrap(real.resolve(other(path)));
    }

    @Override
    public Path resolve(String path) {
      return wrap(real.resolve(path));
    }

    @Override
    public Path resolveSibling(String path) {
      return wrap(real.resolveSibling(path));
    }

    @Override
    public Path relativize(Path path) {
      return wrap(real.relativize(other(path)));
    }

    @Override
    public URI toUri() {
      return real.toUri();
    }

    @Override
    public Path toAbsolutePath() {
      return wrap(real.toAbsolutePath());
    }

    @Override
    public Path toRealPath(LinkOption... options) throws IOException {
      return wrap(real.toRealPath(options));
    }

    @Override
    public WatchKey register(
        WatchService watcher, WatchEvent.Kind<?>[] events, WatchEvent.Modifier... modifiers) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int compareTo(Path path) {
      return real.compareTo(other(path));
    }

    @Override
    public boolean equals(Object o) {
      return o instanceof Recorded recorded && recorded.real.equals(real);
    }

    @Override
    public int hashCode() {
      return real.hashCode();
    }

    @Override
    public String toString() {
      return real.toString();
    }
  }

  private final class Provider extends FileSystemProvider {

    private FileSystemProvider machine(Path path) {
      return real(path).getFileSystem().provider();
    }

    @Override
    public String getScheme() {
      return "recording";
    }

    @Override
    public FileSystem newFileSystem(URI uri, Map<String, ?> env) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileSystem getFileSystem(URI uri) {
      return RecordingFileSystem.this;
    }

    @Override
    public Path getPath(URI uri) {
      throw new UnsupportedOperationException();
    }

    @Override
    public SeekableByteChannel newByteChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      return newFileChannel(path, options, attributes);
    }

    @Override
    public FileChannel newFileChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      boolean writes =
          options.contains(StandardOpenOption.WRITE) || options.contains(StandardOpenOption.APPEND);
      boolean makes =
          writes
              && (!Files.exists(real(path))
                  || options.contains(StandardOpenOption.TRUNCATE_EXISTING));
      if (makes) {
        before(new Change.Created(path));
      }
      FileChannel opened = FileChannel.open(real(path), options, attributes);
      if (makes) {
        after(new Change.Created(path));
      }
      return new RecordedChannel(path, opened);
    }

    @Override
    public DirectoryStream<Path> newDirectoryStream(
        Path folder, DirectoryStream.Filter<? super Path> filter) throws IOException {
      List<Path> all = new ArrayList<>();
      try (DirectoryStream<Path> stream = Files.newDirectoryStream(real(folder))) {
        stream.forEach(entry -> all.add(path(entry)));
      }
      return new DirectoryStream<>() {
        @Override
        public Iterator<Path> iterator() {
          return all.iterator();
        }

        @Override
        public void close() {}
      };
    }

    @Override
    public void createDirectory(Path folder, FileAttribute<?>... attributes) throws IOException {
      recorded(
          new Change.MadeFolder(folder), () -> Files.createDirectory(real(folder), attributes));
    }

    @Override
    public void delete(Path path) throws IOException {
      recorded(new Change.Deleted(path), () -> Files.delete(real(path)));
    }

    @Override
    public void copy(Path from, Path to, CopyOption... options) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void move(Path from, Path to, CopyOption... options) throws IOException {
      recorded(new Change.Moved(from, to), () -> Files.move(real(from), real(to), options));
    }

    @Override
    public boolean isSameFile(Path a, Path b) throws IOException {
      return Files.isSameFile(real(a), real(b));
    }

    @Override
    public boolean isHidden(Path path) throws IOException {
      return Files.isHidden(real(path));
    }

    @Override
    public FileStore getFileStore(Path path) throws IOException {
      return Files.getFileStore(real(path));
    }

    @Override
    public void checkAccess(Path path, AccessMode... modes) throws IOException {
      machine(path).checkAccess(real(path), modes);
    }

    @Override
    public <V extends FileAttributeView> V getFileAttributeView(
        Path path, Class<V> type, LinkOption... options) {
      return Files.getFileAttributeView(real(path), type, options);
    }

    @Override
    public <A extends BasicFileAttributes> A readAttributes(
        Path path, Class<A> type, LinkOption... options) throws IOException {
      return Files.readAttributes(real(path), type, options);
    }

    @Override
    public Map<String, Object> readAttributes(Path path, String attributes, LinkOption... options)
        throws IOException {
      return Files.readAttributes(real(path), attributes, options);
    }

    @Override
    public void setAttribute(Path path, String attribute, Object value, LinkOption... options)
        throws IOException {
      Files.setAttribute(real(path), attribute, value, options);
    }
  }

  private final class RecordedChannel extends FileChannel {
    private final Path path;
    private final FileChannel opened;

    RecordedChannel(Path path, FileChannel opened) {
      this.path = path;
      this.opened = opened;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
      byte[] bytes = new byte[source.remaining()];
      source.duplicate().get(bytes);
      int[] count = new int[1];
      recorded(new Change.Written(path, bytes), () -> count[0] = opened.write(source));
      return count[0];
    }

    @Override
    public long write(ByteBuffer[] sources, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int write(ByteBuffer source, long position) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void force(boolean metadata) throws IOException {
      recorded(new Change.Forced(path), () -> opened.force(metadata));
    }

    @Override
    public int read(ByteBuffer target) throws IOException {
      return opened.read(target);
    }

    @Override
    public long read(ByteBuffer[] targets, int offset, int length) throws IOException {
      return opened.read(targets, offset, length);
    }

    @Override
    public int read(ByteBuffer target, long position) throws IOException {
      return opened.read(target, position);
    }

    @Override
    public long position() throws IOException {
      return opened.position();
    }

    @Override
    public FileChannel position(long position) throws IOException {
      opened.position(position);
      return this;
    }

    @Override
    public long size() throws IOException {
      return opened.size();
    }

    @Override
    public FileChannel truncate(long size) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel target)
        throws IOException {
      return opened.transferTo(position, count, target);
    }

    @Override
    public long transferFrom(ReadableByteChannel source, long position, long count) {
      throw new UnsupportedOperationException();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) throws IOException {
      return opened.map(mode, position, size);
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) throws IOException {
      return opened.lock(position, size, shared);
    }

    @Override
    public FileLock tryLock(long position, long size, boolean shared) throws IOException {
      return opened.tryLock(position, size, shared);
    }

    @Override
    protected void implCloseChannel() throws IOException {
      opened.close();
    }
  }

  @Override
  public FileSystemProvider provider() {
    return provider;
  }

  @Override
  public void close() {}

  @Override
  public boolean isOpen() {
    return true;
  }

  @Override
  public boolean isReadOnly() {
    return false;
  }

  @Override
  public String getSeparator() {
    return "/";
  }

  @Override
  public Iterable<Path> getRootDirectories() {
    throw new UnsupportedOperationException();
  }

  @Override
  public Iterable<FileStore> getFileStores() {
    throw new UnsupportedOperationException();
  }

  @Override
  public Set<String> supportedFileAttributeViews() {
    return Set.of("basic");
  }

  @Override
  public Path getPath(String first, String... more) {
    return path(Path.of(first, more));
  }

  @Override
  public PathMatcher getPathMatcher(String pattern) {
    throw new UnsupportedOperationException();
  }

  @Override
  public UserPrincipalLookupService getUserPrincipalLookupService() {
    throw new UnsupportedOperationException();
  }

  @Override
  public WatchService newWatchService() {
    throw new UnsupportedOperationException();
  }
}
