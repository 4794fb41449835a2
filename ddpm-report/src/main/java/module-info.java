/** What a run leaves to look at: progress, pages, plots and tables of pictures. */
module io.github.ddpm4j.report {
  requires transitive io.github.ddpm4j;
  requires java.desktop;
  requires me.tongfei.progressbar;
  requires org.knowm.xchart;
  requires org.slf4j;
  requires static org.jspecify;

  exports io.github.ddpm4j.report;
}
